import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// kill -9 of the server, of the agent and of both, where it hurts most.
    @Suite(.serialized) struct Crashes {
        /// Every commit of the deferred path, before it and after it.
        static let commits = [
            "vm.stop", "session.open", "session.established", "job.claim", "gc-stop.answered", "gc-stop.finish",
        ]
        .flatMap { ["before-\($0)", "after-\($0)"] }

        @Test(arguments: commits)
        func `the server dies at a commit of the deferred path, and the stop still ends once`(point: String)
            async throws
        {
            let bench = try await EndToEnd.bench()
            let name = "die-\(point.replacing(".", with: "-"))"
            let vm = try await bench.runningVM(name, on: "h1")
            try await bench("cut", "h1")
            try await bench.vm(name, becomes: "unknown", limit: 15)
            if point.hasSuffix("vm.stop") {
                try bench.set(point, "crash", on: "server")
                _ = try await bench.tryRoost("vm", "stop", name, "--mode", "cold", "--defer", "--timeout", "1")
            } else {
                try await bench.roost("vm", "stop", name, "--mode", "cold", "--defer")
                try bench.set(point, "crash", on: "server")
                try await bench("heal", "h1")
            }
            try await until("the server died at \(point)", limit: 30) {
                try await bench("server", "status").out.hasPrefix("stopped")
            }
            #expect(!bench.isThere(point, "crash", on: "server"))
            try await bench.startServer()
            if try await bench.gcJobs(of: name).isEmpty {
                // The acceptance was never durable: the user had no answer, and asks again.
                try await bench.roost("vm", "stop", name, "--mode", "cold", "--defer")
            }
            try await bench("heal", "h1")
            let ended = try await bench.endedGCJob(of: name)
            #expect(["stopped", "not-found"].contains(ended.outcome))
            #expect(try await bench.vm(name, becomes: "stopped").operation == nil)
            #expect(try await bench.domains(on: "h1").isEmpty)
            #expect(try await bench.vm(name).epoch == vm.epoch)
            try await bench.connected("h1")
            try await bench.roost("vm", "delete", name, "--expunge")
        }

        @Test(arguments: [
            "agent-start.before-libvirt", "agent-start.after-libvirt", "agent-start.before-record",
        ])
        func `R25 R31 the agent dies in a start: one QEMU, and running in the end`(point: String) async throws {
            let bench = try await EndToEnd.bench()
            let name = "start-\(point.split(separator: ".")[1])"
            try bench.set(point, "crash", on: "h1")
            try await bench.roost(
                "vm", "create", name, "--image", "tiny", "--cpus", "1", "--memory", "96", "--no-start")
            try await bench.roost("vm", "start", name, "--host", "h1", "--no-wait")
            try await until("the agent died", limit: 30) {
                try await bench("agent", "h1", "status").out.hasPrefix("stopped")
            }
            try await bench.vm(name, becomes: "unknown", limit: 5)
            let refused = try await bench.tryRoost("vm", "start", name, "--host", "h2")
            #expect(refused.status == 4)
            try await bench.startAgent("h1")
            let vm = try await bench.vm(name, becomes: "running")
            #expect(vm.epoch == 1)
            #expect(try await bench.domains(on: "h1") == [vm.id])
            #expect(try await bench.domains(on: "h2").isEmpty)
            try await until("the operation has ended", limit: 20) { try await bench.vm(name).operation == nil }
            try await bench.roost("vm", "delete", name, "--expunge")
        }

        @Test(arguments: ["agent-stop.before-libvirt", "agent-stop.after-libvirt", "agent-stop.before-record"])
        func `the agent dies in a stop, and the server too: it ends all the same`(point: String) async throws {
            let bench = try await EndToEnd.bench()
            let name = "stop-\(point.split(separator: ".")[1])"
            _ = try await bench.runningVM(name, on: "h1")
            try bench.set(point, "crash", on: "h1")
            try await bench.roost("vm", "stop", name, "--mode", "cold", "--no-wait")
            try await until("the agent died", limit: 30) {
                try await bench("agent", "h1", "status").out.hasPrefix("stopped")
            }
            try await bench("server", "kill")
            try await bench.startServer()
            try await bench.startAgent("h1")
            let vm = try await bench.vm(name, becomes: "stopped")
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await until("the operation has ended", limit: 20) { try await bench.vm(name).operation == nil }
            #expect(vm.epoch == 1)
            try await bench.roost("vm", "delete", name, "--expunge")
        }

        @Test func `R31 a start that takes longer than the server's limit is asked for again, and is one QEMU`()
            async throws
        {
            let bench = try await EndToEnd.bench()
            try bench.set("agent-start.before-libvirt", "hold", on: "h1")
            try await bench.roost(
                "vm", "create", "slow", "--image", "tiny", "--cpus", "1", "--memory", "96", "--no-start")
            try await bench.roost("vm", "start", "slow", "--host", "h1", "--no-wait")
            let unknown = try await bench.vm("slow", becomes: "unknown", limit: 20)
            #expect(unknown.waitingFor?.reason == "outcome-unknown")
            #expect(try await bench.tryRoost("vm", "start", "slow", "--host", "h2").status == 4)
            try bench.clear("agent-start.before-libvirt", "hold", on: "h1")
            let vm = try await bench.vm("slow", becomes: "running")
            #expect(vm.epoch == 1)
            #expect(try await bench.domains(on: "h1") == [vm.id])
            #expect(try await bench.domains(on: "h2").isEmpty)
            try await until("the operation has ended", limit: 20) { try await bench.vm("slow").operation == nil }
            try await bench.roost("vm", "delete", "slow", "--expunge")
        }

        @Test func `R26 the agent is dead: a forced stop is stopping, and a start is refused until it answers`()
            async throws
        {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("r26", on: "h1")
            try await bench("agent", "h1", "kill")
            try await bench.vm("r26", becomes: "unknown", limit: 5)
            try await bench.roost("vm", "stop", "r26", "--mode", "force", "--defer")
            #expect(try await bench.vm("r26").state == "stopping")
            let refused = try await bench.tryRoost("vm", "start", "r26", "--host", "h2")
            #expect(refused.status == 4)
            #expect(try await bench.domains(on: "h1") == [vm.id])
            try await bench.startAgent("h1")
            #expect(try await bench.endedGCJob(of: "r26").outcome == "stopped")
            try await bench.roost("vm", "start", "r26", "--host", "h2")
            try await bench.roost("vm", "delete", "r26", "--expunge")
        }

        @Test func `R25 a start whose answer is lost with the network is running once the host is back`() async throws {
            let bench = try await EndToEnd.bench()
            try bench.set("agent-start.after-libvirt", "hold", on: "h1")
            try await bench.roost(
                "vm", "create", "r25", "--image", "tiny", "--cpus", "1", "--memory", "96", "--no-start")
            try await bench.roost("vm", "start", "r25", "--host", "h1", "--no-wait")
            try await until("the answer is held", limit: 30) {
                bench.isThere("agent-start.after-libvirt", "held", on: "h1")
            }
            try await bench("cut", "h1")
            try bench.clear("agent-start.after-libvirt", "hold", on: "h1")
            try await bench.vm("r25", becomes: "unknown", limit: 15)
            #expect(try await bench.tryRoost("vm", "start", "r25", "--host", "h2").status == 4)
            try await bench("heal", "h1")
            let vm = try await bench.vm("r25", becomes: "running")
            #expect(vm.epoch == 1)
            #expect(try await bench.domains(on: "h1") == [vm.id])
            #expect(try await bench.domains(on: "h2").isEmpty)
            try await bench.roost("vm", "delete", "r25", "--expunge")
        }
    }
}
