import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// Guests that move between hosts while they run.
    @Suite(.serialized) struct Moves {
        /// Where libvirt shows a domain of `vm`.
        private func homes(of vm: VMResource, _ bench: Bench) async throws -> [String] {
            var homes: [String] = []
            for host in ["h1", "h2"] where try await bench.domains(on: host).contains(vm.id) { homes.append(host) }
            return homes
        }

        private func operation(_ id: String, _ bench: Bench) async throws -> OperationResource {
            try await bench.roost("operation", "show", id, "-o", "json").json()
        }

        /// A move of `vm` to h2 that was accepted, and copies at a crawl.
        private func slowMove(of vm: VMResource, _ bench: Bench) async throws -> String {
            try await bench("virsh", "h1", "migrate-setspeed", vm.id, "1")
            let id = try await bench.roost("vm", "migrate", vm.name, "--to", "h2", "--no-wait").out
                .trimmingCharacters(in: .whitespacesAndNewlines)
            try await until("something was copied", limit: 30) {
                try await operation(id, bench).transfer.map { $0.bytesProcessed > 0 } ?? false
            }
            return id
        }

        @Test func `a guest that moves back and forth twenty times counts on, and never runs twice`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("wanderer", on: "h1")
            try await bench.console(of: "wanderer", says: "tick 2")
            var log = try TickLog(of: vm, on: "h1", bench)
            var downtimes: [Int] = []
            for round in 1...20 {
                let target = round.isMultiple(of: 2) ? "h1" : "h2"
                try await bench.roost("vm", "migrate", "wanderer", "--to", target)
                let moved = try await bench.vm("wanderer")
                #expect(moved.state == "running")
                #expect(moved.epoch == Int64(round + 1))
                #expect(try await homes(of: vm, bench) == [target])
                let info = try await bench("virsh", target, "domjobinfo", vm.id, "--completed").out
                let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("Total downtime:") }
                if let line, let number = line.split(separator: " ").compactMap({ Int($0) }).first {
                    downtimes.append(number)
                }
                try log.arrived(on: target)
                let before = try log.all.max() ?? 0
                try await until("it counts on after move \(round)", limit: 20) { [log] in
                    try log.latest.last.map { $0 > before } ?? false
                }
                try await until("what it left is released", limit: 20) { [log] in
                    !log.isThere(on: target == "h1" ? "h2" : "h1")
                }
            }
            let counted = try log.all
            #expect(counted == Array(1...counted.count), "each number once, and none left out")
            print("downtime of 20 moves in ms, as libvirt counts it up to the arrival: \(downtimes.sorted())")
            #expect(downtimes.count == 20)
            // The way in was open for the time of each move.
            for host in ["h1", "h2"] { #expect(try await bench("exec", host, "ss", "-Hltn").out.isEmpty) }
            try await bench.roost("vm", "delete", "wanderer", "--expunge")
        }

        @Test func `a cancelled move leaves the guest where it was`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("stayer", on: "h1")
            try await bench.console(of: "stayer", says: "tick 1")
            let move = try await slowMove(of: vm, bench)
            #expect(try await bench.vm("stayer").state == "migrating")
            #expect(try await bench.vm("stayer").destination != nil)
            let second = try await bench.tryRoost("vm", "migrate", "stayer", "--to", "h2")
            #expect(second.status == 4)
            #expect(second.err.contains(move))
            try await bench.roost("operation", "cancel", move)
            try await until("the move has ended", limit: 30) { try await operation(move, bench).isEnded }
            #expect(try await operation(move, bench).state == "cancelled")
            let stayed = try await bench.vm("stayer")
            #expect(stayed.state == "running")
            #expect(stayed.host == vm.host)
            #expect(try await homes(of: vm, bench) == ["h1"])
            // What was granted for it is never used again.
            try await bench("virsh", "h1", "migrate-setspeed", vm.id, "1000")
            try await bench.roost("vm", "migrate", "stayer")
            #expect(try await bench.vm("stayer").epoch == 3)
            try await bench.roost("vm", "delete", "stayer", "--expunge")
        }

        @Test func `R19 libvirt finishes a move while server and source are gone: running there, in the end`()
            async throws
        {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("r19", on: "h1")
            try await bench.console(of: "r19", says: "tick 1")
            try bench.set("agent-migrate.after-libvirt", "hold", on: "h1")
            try await bench.roost("vm", "migrate", "r19", "--to", "h2", "--no-wait")
            try await until("libvirt has moved it", limit: 30) {
                bench.isThere("agent-migrate.after-libvirt", "held", on: "h1")
            }
            try await bench("cut", "h1")
            try await bench("server", "kill")
            #expect(try await homes(of: vm, bench) == ["h2"])
            try await bench.startServer()
            try await bench.connected("h2")
            try await until("it waits for the source", limit: 20) {
                let now = try await bench.vm("r19")
                return now.state == "migrating" && now.waitingFor?.host == vm.host
            }
            let start = try await bench.tryRoost("vm", "start", "r19", "--host", "h2")
            #expect(start.status == 4)
            #expect(start.err.contains("either end of its move"))
            try bench.clear("agent-migrate.after-libvirt", "hold", on: "h1")
            try await bench("heal", "h1")
            let settled = try await bench.vm("r19", becomes: "running", limit: 60)
            #expect(settled.epoch == 2)
            #expect(settled.host != vm.host)
            #expect(settled.conflicts.isEmpty)
            #expect(try await homes(of: vm, bench) == ["h2"])
            try await bench.roost("vm", "delete", "r19", "--expunge")
        }

        @Test func `R21 the source is cut off in the middle and the move is cancelled: one live domain`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("r21", on: "h1")
            try await bench.console(of: "r21", says: "tick 1")
            let move = try await slowMove(of: vm, bench)
            try await bench("cut", "h1")
            try await bench.disconnected("h1")
            let waiting = try await bench.vm("r21")
            #expect(waiting.state == "migrating")
            #expect(waiting.waitingFor?.host == vm.host)
            try await bench.roost("operation", "cancel", move)
            try await bench("heal", "h1")
            try await until("the move has ended", limit: 90) { try await operation(move, bench).isEnded }
            let settled = try await bench.vm("r21", becomes: "running", limit: 30)
            let homes = try await homes(of: vm, bench)
            #expect(homes.count == 1)
            #expect(try await bench.host(homes[0]).id == settled.host)
            #expect(settled.conflicts.isEmpty)
            try await bench.roost("vm", "delete", "r21", "--expunge")
        }

        @Test func `R01 a guest that is moved behind Roost's back is never stopped, and taken up where it is`()
            async throws
        {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("r01", on: "h1")
            try await bench.console(of: "r01", says: "tick 1")
            let sockets = "\(bench.directory)/r01"
            try FileManager.default.createDirectory(atPath: sockets, withIntermediateDirectories: false)
            let libvirt = "\(bench.directory)/h2/run/libvirt/libvirt-sock"
            async let moved = bench(
                "virsh", "h1", "migrate", "--live", "--p2p", "--unsafe", vm.id,
                "qemu+unix:///system?socket=\(libvirt)", "--migrateuri", "unix://\(sockets)/memory")
            var states: Set<String> = []
            try await until("it is taken up on h2", limit: 60) {
                let now = try await bench.vm("r01")
                states.insert(now.state)
                return now.state == "running" && now.host != vm.host
            }
            _ = try await moved
            #expect(states.isSubset(of: ["running", "unknown"]))
            let settled = try await bench.vm("r01")
            #expect(settled.epoch == 2)
            #expect(settled.conflicts.isEmpty)
            #expect(try await homes(of: vm, bench) == ["h2"])
            #expect(
                try await bench("virsh", "h2", "metadata", vm.id, "https://roost.dev/domain/1").out.contains(
                    "epoch=\"2\""))
            for host in ["h1", "h2"] {
                let log = try await bench("log", host).out.split(separator: "\n").filter { $0.contains(vm.id) }
                #expect(log.allSatisfy { !$0.contains("command=stop") && !$0.contains("command=destroy") })
            }
            // What is reported of it from now on has its new epoch.
            try await bench("qemu", "h2", vm.id, "kill")
            try await bench.vm("r01", becomes: "crashed", limit: 10)
            try await bench.roost("vm", "delete", "r01")
        }

        @Test func `a disk of the host's own is copied along, and the one left behind is cleared away`() async throws {
            let bench = try await Bench.up(hosts: 2, "own", pool: "own")
            do {
                try await copyAlong(on: bench)
                await bench.down()
            } catch {
                await bench.down()
                throw error
            }
        }

        private func copyAlong(on bench: Bench) async throws {
            let raw = "\(bench.faults)/disk.img"
            try Disks.writeDisk(to: raw)
            try await bench.roost("image", "create", "disk", "--disk", raw, "--raw")
            let vm = try await bench.runningVM("settler", on: "h1", image: "disk")
            try await bench.console(of: "settler", says: "roost disk: boot 1")
            let disk = { (host: String) in "\(bench.directory)/\(host)/pool/disks/\(vm.id).qcow2" }
            #expect(FileManager.default.fileExists(atPath: disk("h1")))
            let refused = try await bench.tryRoost("vm", "migrate", "settler", "--to", "h2")
            #expect(refused.status == 4)
            #expect(refused.err.contains("--copy-storage"))

            try await bench.roost("vm", "migrate", "settler", "--to", "h2", "--copy-storage")
            #expect(try await homes(of: vm, bench) == ["h2"])
            // What the guest wrote at its first boot came along: it counts on.
            try await bench.roost("vm", "reset", "settler")
            try await bench.console(of: "settler", says: "roost disk: boot 2")
            #expect(FileManager.default.fileExists(atPath: disk("h2")))
            try await until("the disk left behind is cleared away", limit: 30) {
                !FileManager.default.fileExists(atPath: disk("h1"))
            }
            // And back, over nothing that an earlier stay left.
            try await bench.roost("vm", "migrate", "settler", "--to", "h1", "--copy-storage")
            try await bench.roost("vm", "reset", "settler")
            try await bench.console(of: "settler", says: "roost disk: boot 3")
            let last = try await bench.vm("settler")
            #expect(last.state == "running")
            #expect(last.epoch == 3)
        }

        @Test func `a move that takes too long turns to post-copy, and the guest goes on`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("hasty", on: "h1")
            try await bench.console(of: "hasty", says: "tick 1")
            try await bench("virsh", "h1", "migrate-setspeed", vm.id, "2")
            try await bench.roost("vm", "migrate", "hasty", "--to", "h2", "--post-copy", "--timeout", "2")
            #expect(try await bench.vm("hasty").state == "running")
            #expect(try await homes(of: vm, bench) == ["h2"])
            let log = try TickLog(of: vm, on: "h2", bench)
            let before = try log.latest.last ?? 0
            try await until("it counts on", limit: 20) { try log.latest.last.map { $0 > before } ?? false }
            try await bench.roost("vm", "delete", "hasty")
        }

        @Test func `the agent of the source dies in a move: the guest lives on, at one place`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("orphan", on: "h1")
            try await bench.console(of: "orphan", says: "tick 1")
            let move = try await slowMove(of: vm, bench)
            try await bench("agent", "h1", "kill")
            try await bench.startAgent("h1")
            try await until("the move has ended", limit: 90) { try await operation(move, bench).isEnded }
            #expect(try await operation(move, bench).state == "failed")
            let settled = try await bench.vm("orphan", becomes: "running", limit: 30)
            #expect(settled.host == vm.host)
            #expect(try await homes(of: vm, bench) == ["h1"])
            try await bench.roost("vm", "delete", "orphan", "--expunge")
        }

        /// libvirt lets the guest go on at the source then, whatever the destination is about to do with its copy.
        @Test(arguments: ["agent", "libvirtd"])
        func `the source does not hear that its guest has arrived: the guest runs on, at one place`(dies: String)
            async throws
        {
            let bench = try await EndToEnd.bench()
            let name = "unheard-\(dies)"
            let vm = try await bench.runningVM(name, on: "h1")
            try await bench.console(of: name, says: "tick 1")
            let move = try await slowMove(of: vm, bench)
            try await bench("libvirtd", "h2", "freeze")
            try await bench("virsh", "h1", "migrate-setspeed", vm.id, "1000")
            // QEMU has handed everything over, and the source's libvirt asks the destination's to finish the move.
            let status = "\(bench.directory)/h1/run/libvirt/qemu/\(name)-\(vm.id.prefix(8)).xml"
            try await until("the source waits for the last answer", limit: 30) {
                try String(contentsOfFile: status, encoding: .utf8).contains("phase='perform3_done'")
            }
            try await bench(dies, "h1", "kill")
            if dies == "agent" {
                try await until("libvirt lets the guest go on at the source", limit: 30) {
                    try await bench("virsh", "h1", "domstate", vm.id).out.contains("running")
                }
            }
            try await bench("libvirtd", "h2", "thaw")
            try await until("the copy has arrived", limit: 30) {
                try await bench("virsh", "h2", "domstate", vm.id, "--reason").out.contains("(user)")
            }
            if dies == "agent" { try await bench.startAgent("h1") } else { try await bench("libvirtd", "h1", "start") }
            try await until("the move has ended", limit: 90) { try await operation(move, bench).isEnded }
            let settled = try await bench.vm(name, becomes: "running", limit: 30)
            #expect(settled.host == vm.host)
            #expect(try await homes(of: vm, bench) == ["h1"])
            let log = try TickLog(of: vm, on: "h1", bench)
            let before = try log.latest.last ?? 0
            try await until("it counts on", limit: 20) { try log.latest.last.map { $0 > before } ?? false }
            try await bench.roost("vm", "delete", name, "--expunge")
        }

        @Test func `a paused guest moves paused, and one that may be down is stopped and started there`() async throws {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("slow", on: "h1")
            try await bench.console(of: "slow", says: "tick 1")
            try await bench.roost("vm", "pause", "slow")
            try await bench.roost("vm", "migrate", "slow", "--to", "h2")
            #expect(try await bench.vm("slow").state == "paused")
            #expect(try await bench("virsh", "h2", "domstate", vm.id).out.contains("paused"))
            try await bench.roost("vm", "resume", "slow")
            try await bench.roost("vm", "migrate", "slow", "--to", "h1", "--cold", "--timeout", "20")
            let cold = try await bench.vm("slow")
            #expect(cold.state == "running")
            #expect(cold.epoch == 3)
            #expect(try await homes(of: vm, bench) == ["h1"])
            let same = try await bench.tryRoost("vm", "migrate", "slow", "--to", "h1")
            #expect(same.status == 4)
            #expect(same.err.contains("is on host h1 already"))
            try await bench.roost("vm", "stop", "slow", "--mode", "cold")
            let stopped = try await bench.tryRoost("vm", "migrate", "slow", "--to", "h2")
            #expect(stopped.status == 4)
            try await bench.roost("vm", "delete", "slow", "--expunge")
        }
    }
}
