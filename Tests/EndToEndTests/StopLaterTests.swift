import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// The path that everything else follows, on real hosts.
    @Suite(.serialized) struct StopLater {
        /// A VM that runs on h1, which is then cut off.
        private func cutOff(_ name: String, _ bench: Bench) async throws -> VMResource {
            let vm = try await bench.runningVM(name, on: "h1")
            try await bench("cut", "h1")
            let unknown = try await bench.vm(name, becomes: "unknown", limit: 15)
            #expect(unknown.waitingFor?.reason == "host-disconnected")
            return vm
        }

        @Test func `a deferred stop waits for its host, and then stops once`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await cutOff("later", bench)

            let refused = try await bench.tryRoost("vm", "stop", "later", "--mode", "cold")
            #expect(refused.status != 0)
            #expect(refused.err.contains("hint:") && refused.err.contains("--defer"))
            #expect(try await bench.vm("later").state == "unknown")
            #expect(try await bench.gcJobs(of: "later").isEmpty)

            try await bench.roost("vm", "stop", "later", "--mode", "cold", "--defer")
            let stopping = try await bench.vm("later")
            #expect(stopping.state == "stopping")
            #expect(stopping.waitingFor?.host == vm.host)
            let start = try await bench.tryRoost("vm", "start", "later", "--host", "h2", "-o", "json")
            #expect(start.status == 4)
            #expect(start.err.contains("may still run on host h1"))
            let job = try #require(try await bench.gcJobs(of: "later").first)
            let why = try await bench.roost("gc", "explain", job.id).out
            #expect(why.contains("h1"))
            #expect(try await bench.domains(on: "h1") == [vm.id])

            try await bench("heal", "h1")
            let ended = try await bench.endedGCJob(of: "later")
            #expect(ended.outcome == "stopped")
            #expect(try await bench.vm("later").state == "stopped")
            #expect(try await bench.domains(on: "h1").isEmpty)
            let log = try await bench("log", "h1").out
            #expect(log.split(separator: "\n").filter { $0.contains("command=stop") && $0.contains(vm.id) }.count == 1)
            try await bench.roost("vm", "delete", "later", "--expunge")
        }

        @Test func `with the domain already gone the outcome is not-found, in one attempt`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await cutOff("gone", bench)
            try await bench.roost("vm", "stop", "gone", "--mode", "cold", "--defer")
            try await bench("virsh", "h1", "destroy", vm.id)
            try await bench("heal", "h1")
            let ended = try await bench.endedGCJob(of: "gone")
            #expect(ended.outcome == "not-found")
            #expect(ended.attempts == 1)
            #expect(try await bench.vm("gone").state == "stopped")
            try await bench.roost("vm", "delete", "gone", "--expunge")
        }

        @Test func `with libvirtd down when the host comes back nothing changes, and the job says why`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await cutOff("blind", bench)
            try await bench.roost("vm", "stop", "blind", "--mode", "cold", "--defer")
            try await bench("libvirtd", "h1", "kill")
            try await bench("heal", "h1")
            try await bench.connected("h1")
            try await until("the job says why it waits", limit: 20) {
                try await bench.gcJobs(of: "blind").first?.lastError?.contains("libvirt") == true
            }
            let waiting = try await bench.vm("blind")
            #expect(waiting.state == "stopping")
            #expect(waiting.waitingFor?.reason == "libvirt-unavailable")
            #expect(try await bench("qemu", "h1", vm.id, "pid").status == 0)
            try await bench("libvirtd", "h1", "start")
            #expect(try await bench.endedGCJob(of: "blind").outcome == "stopped")
            #expect(try await bench.vm("blind").state == "stopped")
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await bench.roost("vm", "delete", "blind", "--expunge")
        }

        @Test func `the VM ran on elsewhere: the old domain is stopped, the new one untouched`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await cutOff("moved", bench)
            try await bench.roost("vm", "stop", "moved", "--mode", "cold", "--defer")
            Watched.excuse(vm)
            try await bench.roost("host", "fence", "h1", "--proof", "the power cord is in my hand")
            try await bench.roost("vm", "start", "moved", "--host", "h2")
            let onB = try await bench.vm("moved")
            #expect(onB.state == "running")
            #expect(onB.epoch == 2)
            let pid = try await bench("qemu", "h2", vm.id, "pid").out
            #expect(try await bench.domains(on: "h1") == [vm.id])

            try await bench("heal", "h1")
            let ended = try await bench.endedGCJob(of: "moved")
            #expect(ended.outcome == "superseded")
            #expect(try await bench.domains(on: "h1").isEmpty)
            #expect(try await bench("qemu", "h2", vm.id, "pid").out == pid)
            let last = try await bench.vm("moved")
            #expect(last.state == "running")
            #expect(last.host == onB.host)
            #expect(last.conflicts.isEmpty)
            try await until("what it left on h1 is released", limit: 40) {
                try await bench.gcJobs(of: "moved").first { $0.kind == "release-placement" }?.outcome == "released"
            }
            try await bench.roost("vm", "delete", "moved", "--expunge")
        }

        @Test(arguments: ["gc-stop.before-command", "gc-stop.before-write"])
        func `R15 a job paused while the VM moves changes nothing`(point: String) async throws {
            let bench = try await EndToEnd.bench()
            let name = "r15-\(point.contains("command") ? "c" : "w")"
            let vm = try await cutOff(name, bench)
            try await bench.roost("vm", "stop", name, "--mode", "cold", "--defer")
            try bench.set(point, "hold", on: "server")
            try await bench("heal", "h1")
            try await until("the job is held", limit: 20) { bench.isThere(point, "held", on: "server") }
            try await bench("cut", "h1")
            try await bench.disconnected("h1")
            if try await bench.vm(name).state != "stopped" {
                Watched.excuse(vm)
                try await bench.roost("host", "fence", "h1", "--proof", "off")
            }
            try await bench.roost("vm", "start", name, "--host", "h2")
            let onB = try await bench.vm(name)
            let pid = try await bench("qemu", "h2", vm.id, "pid").out
            try await bench("heal", "h1")
            try await bench.connected("h1")
            try bench.clear(point, "hold", on: "server")
            #expect(try await bench.endedGCJob(of: name).outcome == "superseded")
            let last = try await bench.vm(name)
            #expect(last.state == "running")
            #expect(last.host == onB.host)
            #expect(try await bench("qemu", "h2", vm.id, "pid").out == pid)
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await bench.roost("vm", "delete", name, "--expunge")
        }

        @Test func `R12 a stop held inside the agent does not touch the next start's domain`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("r12", on: "h1")
            try bench.set("agent-stop.received", "hold", on: "h1")
            _ = try await bench.roost("vm", "stop", "r12", "--mode", "cold", "--defer", "--no-wait")
            try await until("the stop is held", limit: 20) { bench.isThere("agent-stop.received", "held", on: "h1") }
            // The held stop is of epoch 1. Meanwhile its domain ends otherwise, and the VM starts again on the same host.
            try await bench("virsh", "h1", "destroy", vm.id)
            try await bench.vm("r12", becomes: "stopped")
            try await until("the VM may be started again", limit: 40) {
                try await bench.tryRoost("vm", "start", "r12", "--host", "h1").status == 0
            }
            let again = try await bench.vm("r12")
            #expect(again.epoch == 2)
            let pid = try await bench("qemu", "h1", vm.id, "pid").out
            try bench.clear("agent-stop.received", "hold", on: "h1")
            try await until("the late stop is refused", limit: 20) {
                try await bench("log", "h1").out.contains("rejected: stale-epoch")
            }
            #expect(try await bench.vm("r12").state == "running")
            #expect(try await bench("qemu", "h1", vm.id, "pid").out == pid)
            try await bench.roost("vm", "delete", "r12", "--expunge")
        }

        @Test func `R16 a VM that came back to its host with a newer epoch is not touched`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await cutOff("r16", bench)
            try await bench.roost("vm", "stop", "r16", "--mode", "cold", "--defer")
            Watched.excuse(vm)
            try await bench.roost("host", "fence", "h1", "--proof", "off")
            try await bench("virsh", "h1", "destroy", vm.id)
            try bench.set("gc-stop.before-command", "hold", on: "server")
            try await bench("heal", "h1")
            try await bench.connected("h1")
            try await bench.roost("vm", "start", "r16", "--host", "h1")
            let pid = try await bench("qemu", "h1", vm.id, "pid").out
            try bench.clear("gc-stop.before-command", "hold", on: "server")
            #expect(try await bench.endedGCJob(of: "r16").outcome == "superseded")
            try await bench("agent", "h1", "kill")
            try await bench("server", "kill")
            try await bench.startServer()
            try await bench.startAgent("h1")
            try await bench.vm("r16", becomes: "running")
            #expect(try await bench("qemu", "h1", vm.id, "pid").out == pid)
            try await bench.roost("vm", "delete", "r16", "--expunge")
        }

        @Test func `the host is deleted while the job waits: the job ends with that, and nothing is hidden`()
            async throws
        {
            let bench = try await Bench.up(hosts: 1, "delete")
            do { try await deleteHost(on: bench) } catch {
                await bench.down()
                throw error
            }
            await bench.down()
        }

        private func deleteHost(on bench: Bench) async throws {
            let vm = try await cutOff("orphan", bench)
            try await bench.roost("vm", "stop", "orphan", "--mode", "cold", "--defer")
            let refused = try await bench.tryRoost("host", "delete", "h1")
            #expect(refused.status == 4)
            #expect(refused.err.contains("--force"))
            let deleted = try await bench.roost("host", "delete", "h1", "--force", "-o", "json").json(DeletedHost.self)
            #expect(deleted.unresolvedVMs.count == 1)
            #expect(try await bench.endedGCJob(of: "orphan").outcome == "host-deleted")
            let left = try await bench.vm("orphan")
            #expect(left.waitingFor?.reason == "host-deleted")
            #expect(left.host == vm.host)
            // The domain lives on, and the record goes on saying that it may.
            #expect(try await bench.domains(on: "h1") == [vm.id])
            try await bench("heal", "h1")
            try await until("the deleted host's agent is refused", limit: 20) {
                try await bench("log", "h1").out.contains("deleted")
            }
            #expect(try await bench.tryRoost("vm", "start", "orphan").status == 4)
            try await bench("power", "h1", "off")
            try await bench.roost("host", "fence", deleted.id, "--proof", "scrapped")
            #expect(try await bench.vm("orphan").state == "stopped")
        }

        @Test func `the VM is deleted while the job waits: its own job ends the domain`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await cutOff("doomed", bench)
            try await bench.roost("vm", "stop", "doomed", "--mode", "cold", "--defer")
            try await bench.roost("vm", "delete", "doomed", "--defer")
            let jobs = try await bench.gcJobs(of: vm.id)
            #expect(jobs.first { $0.kind == "stop-vm" }?.outcome == "vm-destroyed")
            #expect(try await bench.vm(vm.id).state == "destroying")
            #expect(try await bench.domains(on: "h1") == [vm.id])
            try await bench("heal", "h1")
            try await bench.vm(vm.id, becomes: "destroyed")
            #expect(try await bench.domains(on: "h1").isEmpty)
            #expect(try await bench.gcJobs(of: vm.id).allSatisfy { $0.endedAt != nil })
        }
    }
}
