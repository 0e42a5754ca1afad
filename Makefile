.DEFAULT_GOAL := help
.PHONY: help build release test bench sim quickstart quickstart-down format lint proto clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the three executables, for debugging
	@scripts/setup
	swift build

release: ## the three executables, as they are shipped: .build/release
	@scripts/setup
	scripts/release

test: ## every test, real QEMU on a bench of two hosts included
	@scripts/test

bench: ## the figures, from a release build; PART=memory, stop, death, move, store, reconcile or jobs for one of them
	@scripts/setup
	Benchmarks/run $(PART)

sim: ## simulations of SEED and the seeds after it; SEEDS= how many, STORM= seconds of virtual time
	@scripts/setup
	swift build --product roost-sim
	.build/debug/roost-sim --seed $(or $(SEED),1) --count $(or $(SEEDS),1) --storm $(or $(STORM),300)

quickstart: ## a server, an agent and a running VM on this machine
	@scripts/quickstart

quickstart-down: ## ends and removes what quickstart made
	@scripts/quickstart-down

format: ## formats the Swift sources
	swift format --in-place --parallel --recursive Package.swift Sources Tests Benchmarks

lint: ## checks the form of Swift sources and scripts
	swift format lint --strict --parallel --recursive Package.swift Sources Tests Benchmarks
	@if command -v shellcheck >/dev/null; then shellcheck -x Bench/bench Bench/postgres Bench/guest Bench/guest-init Bench/host-init \
		Bench/spawn Bench/wire-init Bench/lib/*.sh scripts/*; else echo 'lint: no shellcheck, scripts not checked'; fi

proto: ## generates the agent protocol's code from its .proto
	Sources/Contract/AgentContract/generate.sh

clean: ## removes what was built, and the caches
	rm -rf .build .roost/cache
