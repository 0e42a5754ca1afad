import APIContract
import Foundation
import Testing

extension EndToEnd {
    @Suite(.serialized) struct Life {
        @Test func `a VM is created, runs, is stopped in each mode and deleted`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("life", on: "h1")
            #expect(vm.epoch == 1)
            try await bench.console(of: "life", says: "roost guest: up")
            #expect(try await bench.domains(on: "h1").contains(vm.id))

            try await bench.roost("vm", "stop", "life", "--mode", "grace", "--timeout", "30")
            try await bench.console(of: "life", says: "roost guest: power button")
            #expect(try await bench.vm("life").state == "stopped")
            #expect(try await bench.domains(on: "h1").isEmpty)

            for (epoch, mode) in [(2, "cold"), (3, "force")] {
                try await bench.roost("vm", "start", "life")
                let again = try await bench.vm("life")
                #expect(again.state == "running")
                #expect(again.epoch == Int64(epoch))
                try await bench.roost("vm", "stop", "life", "--mode", mode)
                let stopped = try await bench.vm("life")
                #expect(stopped.state == "stopped")
                #expect(stopped.stopCause == "requested")
                #expect(stopped.host == nil)
                #expect(try await bench.domains(on: "h1").isEmpty)
                #expect(try await bench.domains(on: "h2").isEmpty)
            }

            try await bench.roost("vm", "start", "life")
            try await bench.roost("vm", "delete", "life", "--expunge")
            #expect(try await bench.tryRoost("vm", "show", "life").status == 3)
            let domains = try await (bench.domains(on: "h1"), bench.domains(on: "h2"))
            #expect(domains.0.isEmpty && domains.1.isEmpty)
        }

        @Test func `a guest that ignores the power button is cut off when its time is up`() async throws {
            let bench = try await EndToEnd.bench()
            let guest = try await Guest.build()
            try await bench.roost(
                "image", "create", "deaf", "--kernel", "\(guest)/vmlinuz", "--initrd", "\(guest)/initrd", "--append",
                "console=ttyS0 roost.ignore-power-button")
            _ = try await bench.runningVM("deaf", on: "h1", image: "deaf")
            try await bench.console(of: "deaf", says: "roost guest: up")
            let began = ContinuousClock.now
            try await bench.roost("vm", "stop", "deaf", "--timeout", "2")
            #expect(ContinuousClock.now - began >= .seconds(2))
            #expect(try await bench.vm("deaf").state == "stopped")
            try await bench.roost("vm", "delete", "deaf", "--expunge")
        }

        @Test func `R11 a guest's own end is recorded within a second, with its cause`() async throws {
            let bench = try await EndToEnd.bench()
            let guest = try await Guest.build()
            let vm = try await bench.runningVM("ends", on: "h1")

            try await bench.measure("virsh destroy", of: "ends", becomes: "stopped", cause: "domain-destroyed") {
                try await bench("virsh", "h1", "destroy", vm.id)
            }
            try await bench.roost("vm", "start", "ends", "--host", "h1")
            try await bench.measure("kill -9 of QEMU", of: "ends", becomes: "crashed", cause: "failed") {
                try await bench("qemu", "h1", vm.id, "kill")
            }
            try await bench.roost("vm", "delete", "ends", "--expunge")

            try await bench.roost(
                "image", "create", "brief", "--kernel", "\(guest)/vmlinuz", "--initrd", "\(guest)/initrd", "--append",
                "console=ttyS0 roost.poweroff=1")
            let brief = try await bench.runningVM("brief", on: "h1", image: "brief")
            try await until("the guest has powered itself off", limit: 60) {
                try await bench.attempt("qemu", "h1", brief.id, "pid").status != 0
            }
            try await bench.measure("power-off", of: "brief", becomes: "stopped", cause: "guest-shutdown") {}
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await bench.roost("vm", "delete", "brief", "--expunge")
        }

        @Test func `an agent's restart does not disturb a guest`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("steady", on: "h1")
            let pid = try await bench("qemu", "h1", vm.id, "pid").out
            try await bench("agent", "h1", "kill")
            try await bench.vm("steady", becomes: "unknown", limit: 5)
            try await bench.startAgent("h1")
            try await bench.vm("steady", becomes: "running")
            #expect(try await bench("qemu", "h1", vm.id, "pid").out == pid)
            try await bench("agent", "h1", "stop")
            try await bench.startAgent("h1")
            try await bench.vm("steady", becomes: "running")
            #expect(try await bench("qemu", "h1", vm.id, "pid").out == pid)
            try await bench.roost("vm", "delete", "steady", "--expunge")
        }

        @Test func `R08 libvirtd that dies is cannot see, never not there`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("unseen", on: "h1")
            for fault in ["kill", "freeze"] {
                try await bench("libvirtd", "h1", fault)
                let unknown = try await bench.vm("unseen", becomes: "unknown", limit: 30)
                #expect(unknown.waitingFor?.reason == "libvirt-unavailable")
                let refused = try await bench.tryRoost("vm", "start", "unseen", "--host", "h2")
                #expect(refused.status == 4)
                #expect(try await bench("qemu", "h1", vm.id, "pid").status == 0)
                try await bench("libvirtd", "h1", fault == "kill" ? "start" : "thaw")
                let back = try await bench.vm("unseen", becomes: "running")
                #expect(back.epoch == vm.epoch)
            }
            try await bench.roost("vm", "delete", "unseen", "--expunge")
        }

        @Test func `force ends a QEMU whose libvirtd hangs`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("stuck", on: "h1")
            try bench.set("agent-stop.before-libvirt", "hold", on: "h1")
            try await bench.roost("vm", "stop", "stuck", "--mode", "force", "--no-wait")
            try await until("the agent is about to ask libvirt", limit: 10) {
                bench.isThere("agent-stop.before-libvirt", "held", on: "h1")
            }
            try await bench("libvirtd", "h1", "freeze")
            try bench.clear("agent-stop.before-libvirt", "hold", on: "h1")
            try await until("QEMU is killed", limit: 60) {
                try await bench.attempt("qemu", "h1", vm.id, "pid").status != 0
            }
            // Nobody has seen it end: libvirt has not answered yet.
            #expect(try await bench.vm("stuck").state == "stopping")
            try await bench("libvirtd", "h1", "thaw")
            try await bench.vm("stuck", becomes: "stopped")
            try await until("the operation has ended", limit: 20) { try await bench.vm("stuck").operation == nil }
            try await bench.roost("vm", "delete", "stuck", "--expunge")
        }

        @Test func `a host that loses its power comes back with its VMs stopped`() async throws {
            let bench = try await EndToEnd.bench()
            _ = try await bench.runningVM("dark", on: "h1")
            try await bench("power", "h1", "off")
            let unknown = try await bench.vm("dark", becomes: "unknown", limit: 15)
            #expect(unknown.waitingFor?.reason == "host-disconnected")
            try await bench("power", "h1", "on")
            try await bench.startAgent("h1")
            let stopped = try await bench.vm("dark", becomes: "stopped")
            #expect(stopped.stopCause == "host-rebooted")
            try await bench.roost("vm", "delete", "dark", "--expunge")
        }
    }
}

extension Bench {
    /// Does `what`, and expects the record to follow within a second.
    func measure(
        _ what: String, of name: String, becomes state: String, cause: String, _ act: () async throws -> Void
    ) async throws {
        let began = ContinuousClock.now
        try await act()
        let seen = try await vm(name, becomes: state, limit: 5)
        let took = ContinuousClock.now - began
        print("\(what): recorded \(took) after it was asked for")
        #expect(took < .seconds(1), "\(what) was recorded after \(took)")
        #expect(seen.stopCause == cause)
        #expect(seen.host == nil)
    }
}
