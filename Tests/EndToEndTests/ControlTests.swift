import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// Guests that keep their domain: pause, resume, reset.
    @Suite(.serialized) struct Control {
        @Test func `a paused guest stands still, a resumed one goes on, a reset one boots anew`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("held", on: "h1")
            let pid = try await bench("qemu", "h1", vm.id, "pid").out
            try await bench.console(of: "held", says: "tick 2")

            try await bench.roost("vm", "pause", "held")
            #expect(try await bench.vm("held").state == "paused")
            #expect(try await bench("virsh", "h1", "domstate", vm.id).out.contains("paused"))
            let still = try await bench.tryRoost("vm", "console", "held", "--log").out
            let again = try await bench.tryRoost("vm", "pause", "held")
            #expect(again.status == 4)
            #expect(again.err.contains("It can be resumed"))

            try await bench.roost("vm", "resume", "held")
            #expect(try await bench.vm("held").state == "running")
            let last = still.split(whereSeparator: \.isNewline).compactMap { line in
                line.hasPrefix("tick ") ? Int(line.dropFirst(5)) : nil
            }.last
            let next = try #require(last) + 1
            try await bench.console(of: "held", says: "tick \(next)")

            try await bench.roost("vm", "reset", "held")
            try await until("the guest boots anew", limit: 60) {
                let log = try await bench.tryRoost("vm", "console", "held", "--log").out
                return log.components(separatedBy: "roost guest: up").count == 3
            }
            let after = try await bench.vm("held")
            #expect(after.state == "running")
            #expect(after.epoch == vm.epoch)
            #expect(try await bench("qemu", "h1", vm.id, "pid").out == pid)
            try await bench.roost("vm", "delete", "held", "--expunge")
            #expect(try await bench.tryRoost("vm", "pause", "held").status == 3)
        }

        @Test func `a reboot is the guest's own, and a deaf guest is reset when its time is up`() async throws {
            let bench = try await EndToEnd.bench()
            let guest = try await Guest.build()
            try await bench.roost(
                "image", "create", "unmoved", "--kernel", "\(guest)/vmlinuz", "--initrd", "\(guest)/initrd",
                "--append", "console=ttyS0 roost.ignore-power-button")
            for (image, seconds) in [("tiny", "60"), ("unmoved", "2")] {
                let name = "again-\(image)"
                let vm = try await bench.runningVM(name, on: "h1", image: image)
                let pid = try await bench("qemu", "h1", vm.id, "pid").out
                try await bench.console(of: name, says: "tick 2")
                try await bench.roost("vm", "reboot", name, "--timeout", seconds)
                try await until("the guest boots anew", limit: 60) {
                    let log = try await bench.tryRoost("vm", "console", name, "--log").out
                    return log.components(separatedBy: "roost guest: up").count == 3
                }
                #expect(try await bench.vm(name).state == "running")
                #expect(try await bench.vm(name).epoch == vm.epoch)
                #expect(try await bench("qemu", "h1", vm.id, "pid").out == pid)
                // The next power-off is one: nothing of the reboot is left.
                if image == "tiny" {
                    try await bench.roost("vm", "stop", name, "--timeout", "60")
                    #expect(try await bench.vm(name).stopCause == "requested")
                }
                try await bench.roost("vm", "delete", name, "--expunge")
            }
        }

        @Test func `somebody's own suspend is seen, and a resume of Roost's ends it`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("byhand", on: "h1")
            try await bench("virsh", "h1", "suspend", vm.id)
            try await bench.vm("byhand", becomes: "paused", limit: 5)
            try await bench.roost("vm", "resume", "byhand")
            #expect(try await bench("virsh", "h1", "domstate", vm.id).out.contains("running"))
            try await bench.roost("vm", "delete", "byhand", "--expunge")
        }

        @Test(arguments: ["before-libvirt", "after-libvirt"])
        func `the agent dies in a pause: it ends, with the record as the domain is`(point: String) async throws {
            let bench = try await EndToEnd.bench()
            let name = "pause-\(point)"
            let vm = try await bench.runningVM(name, on: "h1")
            try bench.set("agent-pause.\(point)", "crash", on: "h1")
            try await bench.roost("vm", "pause", name, "--no-wait")
            try await until("the agent died", limit: 30) {
                try await bench("agent", "h1", "status").out.hasPrefix("stopped")
            }
            try await bench.vm(name, becomes: "unknown", limit: 5)
            try await bench.startAgent("h1")
            try await until("the operation has ended", limit: 20) { try await bench.vm(name).operation == nil }
            let state = point == "before-libvirt" ? "running" : "paused"
            try await bench.vm(name, becomes: state, limit: 10)
            #expect(try await bench("virsh", "h1", "domstate", vm.id).out.contains(state))
            try await bench.roost("vm", "delete", name, "--expunge")
        }
    }
}
