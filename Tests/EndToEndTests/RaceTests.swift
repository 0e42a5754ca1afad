import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// Races that peers lost, on real hosts; those of the deferred stop and of moves are with their own suites.
    @Suite(.serialized) struct Races {
        @Test func `R05 whatever both hosts report of a move, the VM is never stopped in between`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("r05", on: "h1")
            try await bench.console(of: "r05", says: "tick 1")
            try await bench.roost("vm", "migrate", "r05", "--to", "h2", "--no-wait")
            var states: [String] = []
            try await until("it has arrived", limit: 60) {
                // Each of its hosts comes back with its whole list, in whatever order.
                async let source = bench.attempt("roost", "host", "reconnect", "h1")
                async let destination = bench.attempt("roost", "host", "reconnect", "h2")
                _ = try await (source, destination)
                let now = try await bench.vm("r05")
                if states.last != now.state { states.append(now.state) }
                return now.state == "running" && now.host != vm.host
            }
            #expect(states.allSatisfy { ["running", "migrating", "unknown"].contains($0) }, "\(states)")
            #expect(try await bench.vm("r05").conflicts.isEmpty)
            for host in ["h1", "h2"] { try await bench.connected(host) }
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await bench.roost("vm", "delete", "r05", "--expunge")
        }

        @Test func `R35 a host that is full with guests on their way takes no more, and its count stays exact`()
            async throws
        {
            let bench = try await EndToEnd.bench()
            let whole = try #require(try await bench.host("h2").allocatable).cpus
            // Two more fit on h2 beside those that are there. They are paused: it is their CPUs on record that count.
            let there = (0..<whole - 2).map { "r35-there-\($0)" }
            for name in there {
                try await bench.runningVM(name, on: "h2")
                try await bench.roost("vm", "pause", name)
            }
            for name in ["r35-one", "r35-two", "r35-three"] { try await bench.runningVM(name, on: "h1") }
            var moves: [String] = []
            for name in ["r35-one", "r35-two"] {
                try await bench.console(of: name, says: "tick 1", limit: 120)
                try await bench("virsh", "h1", "migrate-setspeed", try await bench.vm(name).id, "1")
                moves.append(
                    try await bench.roost("vm", "migrate", name, "--to", "h2", "--no-wait").out
                        .trimmingCharacters(in: .whitespacesAndNewlines))
            }
            for _ in 1...2 {
                #expect(try await bench.host("h2").allocated.cpus == whole)
                #expect(try await bench.host("h1").allocated.cpus == 3)
                let third = try await bench.tryRoost("vm", "migrate", "r35-three", "--to", "h2")
                #expect(third.status == 4)
                #expect(third.err.contains("CPUs"), "\(third.err)")
                // It is counted anew from whatever the host shows.
                try await bench.roost("host", "reconnect", "h2")
                try await bench.connected("h2")
            }
            for move in moves { _ = try await bench.tryRoost("operation", "cancel", move) }
            for name in ["r35-one", "r35-two"] { try await bench.vm(name, becomes: "running", limit: 90) }
            let held = try await bench.host("h1").allocated.cpus + bench.host("h2").allocated.cpus
            #expect(held == whole + 1)
            for name in there + ["r35-one", "r35-two", "r35-three"] {
                try await bench.roost("vm", "delete", name, "--expunge")
            }
            #expect(try await bench.host("h2").allocated.cpus == 0)
        }

        @Test(arguments: ["stop", "delete", "job"])
        func `R37 the guest powers itself off just then: success, and nothing of it is left`(wish: String) async throws
        {
            let bench = try await EndToEnd.bench()
            let guest = try await Guest.build()
            let image = "r37-\(wish)"
            try await bench.roost(
                "image", "create", image, "--kernel", "\(guest)/vmlinuz", "--initrd", "\(guest)/initrd", "--append",
                "console=ttyS0 roost.poweroff=4")
            let vm = try await bench.runningVM(image, on: "h1", image: image)
            try await bench.console(of: image, says: "tick 2")
            if wish == "job" {
                try await bench("cut", "h1")
                try await bench.vm(image, becomes: "unknown", limit: 15)
                try await bench.roost("vm", "stop", image, "--mode", "grace", "--defer")
            }
            try await until("the guest is off", limit: 30) { try await !bench.domains(on: "h1").contains(vm.id) }
            switch wish {
            case "job":
                try await bench("heal", "h1")
                #expect(try await bench.endedGCJob(of: image).attempts == 1)
                #expect(try await bench.vm(image).state == "stopped")
            case "stop":
                let stop = try await bench.tryRoost("vm", "stop", image, "--mode", "cold")
                // Its own end may be on record by then, and then there is nothing to stop.
                #expect(stop.status == 0 || stop.err.contains("is stopped (guest-shutdown)"), "\(stop.err)")
                #expect(try await bench.vm(image).state == "stopped")
            default: break
            }
            try await bench.roost("vm", "delete", image, "--expunge")
            #expect(try await bench.tryRoost("vm", "show", vm.id).status == 3)
            #expect(!FileManager.default.fileExists(atPath: "\(bench.directory)/h1/agent/console/\(vm.id).log"))
            try await bench.roost("image", "delete", image)
        }
    }
}
