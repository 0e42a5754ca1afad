import Domain
import HostAgent

/// libvirt as one agent process sees it.
struct FakeHypervisor: Hypervisor {
    let host: FakeHost
    let life: AgentLife

    func facts() async throws(HypervisorError) -> HypervisorFacts {
        let isKnown = host.with { state in
            state.factsAsked += 1
            return state.isReachable && state.factsKnown
        }
        guard isKnown else { throw .unreachable("no facts") }
        return HypervisorFacts(domainType: "qemu", reason: "no KVM", libvirtVersion: "9.0", qemuVersion: "7.2")
    }

    func capacity() async throws(HypervisorError) -> (cpus: Int, memory: Int) {
        guard host.with({ $0.isReachable }) else { throw .unreachable("no capacity") }
        return (4, 4096)
    }

    func domains() async throws(HypervisorError) -> [ObservedDomain] {
        await host.gates.reach("libvirt.before-domains")
        let seen = try ask("libvirt.domains") { state in
            state.domains.map { ObservedDomain(vm: $0.key, epoch: $0.value.epoch, state: $0.value.state) }
        }
        await host.gates.reach("libvirt.after-domains")
        return seen.sorted { $0.vm < $1.vm }
    }

    func heldDomains() async throws(HypervisorError) -> [HeldDomain] {
        let seen = try ask("libvirt.domains") { state in
            state.domains.map { ObservedDomain(vm: $0.key, epoch: $0.value.epoch, state: $0.value.state) }
        }
        return seen.sorted { $0.vm < $1.vm }.map { HeldDomain(seen: $0, name: "web", cpus: 1, memory: 128) }
    }

    func domain(of vm: VMID) async throws(HypervisorError) -> ObservedDomain? {
        await host.gates.reach("libvirt.domain")
        return try ask("libvirt.domain") { state in
            state.domains[vm].map { ObservedDomain(vm: vm, epoch: $0.epoch, state: $0.state) }
        }
    }

    func start(_ spec: DomainSpec) async throws(HypervisorError) {
        let conduct = host.with { $0.starts.isEmpty ? .works : $0.starts.removeFirst() }
        try act("libvirt.start", conduct) { state throws(HypervisorError) in
            guard state.domains[spec.vm]?.state.isLive != true else {
                throw .failed("A domain of this VM runs here already.")
            }
            state.domains[spec.vm] = FakeHost.Domain(epoch: spec.epoch)
            state.started.append(FakeHost.Starts(vm: spec.vm, epoch: spec.epoch))
        }
    }

    func pressPowerButton(of vm: VMID) async throws(HypervisorError) {
        let now = host.time.monotonic()
        try act("libvirt.press", .works) { state throws(HypervisorError) in
            guard state.domains[vm] != nil else { throw .noDomain }
            state.presses.append(now)
            switch state.guest(state.presses.count) {
            case .ignores, .reboots: break
            case .powersOff: state.domains[vm] = nil
            case .restartsAs(let epoch): state.domains[vm] = FakeHost.Domain(epoch: epoch)
            }
        }
    }

    func cutPower(of vm: VMID) async throws(HypervisorError) {
        let conduct = host.with { $0.cuts.isEmpty ? .works : $0.cuts.removeFirst() }
        try act("libvirt.cut", conduct) { state throws(HypervisorError) in
            guard state.domains[vm] != nil else { throw .noDomain }
            state.domains[vm] = nil
            state.cut.append(vm)
        }
    }

    func control(_ control: GuestControl, of vm: VMID) async throws(HypervisorError) {
        let conduct = host.with { $0.controls.isEmpty ? .works : $0.controls.removeFirst() }
        let now = host.time.monotonic()
        try act("libvirt.control", conduct) { state throws(HypervisorError) in
            guard state.domains[vm] != nil else { throw .noDomain }
            guard control != .reboot else {
                state.presses.append(now)
                if case .reboots = state.guest(state.presses.count) { state.events?.yield(.rebooted(vm)) }
                return
            }
            state.domains[vm]?.state = control == .pause ? .paused : .running
            state.controlled.append(control)
        }
    }

    func migrate(_ migration: DomainMigration) async throws(HypervisorError) {
        let (conduct, cancelledBefore) = host.with { state in
            state.progress = MigrationProgress(processed: 1, total: 4, remaining: 3)
            return (state.moves.isEmpty ? .works : state.moves.removeFirst(), state.movesCancelled)
        }
        await host.gates.reach("libvirt.moving")
        while host.with({ $0.isMoveHeld && $0.movesCancelled == cancelledBefore }) {
            do { try await host.time.sleep(for: .milliseconds(100)) } catch { throw .unreachable("the agent ends") }
        }
        defer { host.with { $0.progress = nil } }
        if host.with({ $0.movesCancelled }) > cancelledBefore { throw .failed("operation aborted: canceled by client") }
        try act("libvirt.migrate", conduct) { state throws(HypervisorError) in
            guard state.domains[migration.vm] != nil else { throw .noDomain }
            state.domains[migration.vm] = nil
            state.moved.append(migration)
        }
    }

    func migrationProgress(of vm: VMID) async throws(HypervisorError) -> MigrationProgress? {
        try ask("libvirt.progress") { $0.progress }
    }

    func cancelMigration(of vm: VMID) async throws(HypervisorError) {
        try act("libvirt.cancel", .works) { state throws(HypervisorError) in
            guard state.progress != nil else { throw .failed("no job is active on the domain") }
            state.movesCancelled += 1
        }
    }

    func beginPostCopy(of vm: VMID) async throws(HypervisorError) {
        try act("libvirt.post-copy", .works) { state throws(HypervisorError) in state.postCopies += 1 }
    }

    func setEpoch(_ epoch: Epoch, of vm: VMID) async throws(HypervisorError) {
        try act("libvirt.set-epoch", .works) { state throws(HypervisorError) in
            guard state.domains[vm] != nil else { throw .noDomain }
            state.domains[vm]?.epoch = epoch
        }
    }

    func process(of vm: VMID) async throws(HypervisorError) -> (any GuestProcess)? {
        host.with { $0.domains[vm] != nil } ? FakeProcess(hypervisor: self, vm: vm) : nil
    }

    private struct FakeProcess: GuestProcess {
        let hypervisor: FakeHypervisor
        let vm: VMID

        func kill() async throws(HypervisorError) { try hypervisor.kill(vm) }
    }

    private func kill(_ vm: VMID) throws(HypervisorError) {
        let conduct = host.with { $0.kills.isEmpty ? .works : $0.kills.removeFirst() }
        // It works without libvirt.
        try act("kill", conduct, asksLibvirt: false) { state throws(HypervisorError) in
            state.domains[vm] = nil
            state.killed.append(vm)
        }
    }

    func events() -> AsyncStream<HypervisorEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: HypervisorEvent.self)
        host.with { $0.events = continuation }
        return stream
    }

    private func ask<Value: Sendable>(
        _ name: String, _ body: (FakeHost.State) -> Value
    ) throws(HypervisorError) -> Value {
        switch life.step(name) {
        case .works: break
        case .fails: throw .failed("\(name) failed")
        case .diesAfter, .isDead: throw .unreachable("the agent is dead")
        }
        let answer: Value? = host.with { $0.isReachable ? body($0) : nil }
        guard let answer else { throw .unreachable("connection refused") }
        return answer
    }

    private func act(
        _ name: String, _ conduct: FakeHost.Conduct, asksLibvirt: Bool = true,
        _ effect: @escaping @Sendable (inout FakeHost.State) throws(HypervisorError) -> Void
    ) throws(HypervisorError) {
        let step = life.step(name)
        switch step {
        case .fails: throw .failed("\(name) failed")
        case .isDead: throw .unreachable("the agent is dead")
        case .works, .diesAfter: break
        }
        if asksLibvirt, !host.with({ $0.isReachable }) { throw .unreachable("connection refused") }
        switch conduct {
        case .works: try perform(effect)
        case .fails(let why): throw .failed(why)
        case .isSilent: throw .unreachable("timed out")
        case .isSilentAndWorks(let delay):
            host.time.plan(after: delay) { try? perform(effect) }
            throw .unreachable("timed out")
        }
        if case .diesAfter = step { throw .unreachable("the agent is dead") }
    }

    private func perform(
        _ effect: (inout FakeHost.State) throws(HypervisorError) -> Void
    ) throws(HypervisorError) {
        let failure: HypervisorError? = host.with { state in
            do throws(HypervisorError) { try effect(&state) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }
}
