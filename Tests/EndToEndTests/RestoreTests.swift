import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// A server that comes back with older records than its hosts.
    @Suite(.serialized) struct Restore {
        @Test func `an older copy touches nothing until it is accepted, and then goes on where the hosts are`()
            async throws
        {
            let bench = try await Bench.up(hosts: 2, "restore")
            do {
                try await restored(bench)
                try await putBackInSilence(bench)
            } catch {
                let log = try? await bench("log", "server").out.suffix(4000)
                await bench.down()
                throw ProgramFailed(description: "\(error)\n\(log ?? "")")
            }
            await bench.down()
        }

        private func restored(_ bench: Bench) async throws {
            let same = try await bench.runningVM("same", on: "h1")
            let again = try await bench.runningVM("again", on: "h1")
            let moved = try await bench.runningVM("moved", on: "h1")
            let gone = try await bench.runningVM("gone", on: "h2")
            let backup = "\(bench.directory)/backup"
            try await roostd("backup", "--to", backup, "--data-dir", "\(bench.directory)/server")

            // What the copy does not know.
            try await bench.roost("vm", "stop", "again", "--mode", "cold")
            try await bench.roost("vm", "start", "again", "--host", "h1")
            try await bench.roost("vm", "migrate", "moved", "--to", "h2")
            try await bench.roost("vm", "delete", "gone", "--expunge")
            let late = try await bench.runningVM("late", on: "h2")
            let guests = [(same.id, "h1"), (again.id, "h1"), (moved.id, "h2"), (late.id, "h2")]
            let pids = try await processes(of: guests, bench)

            try await bench("server", "1", "kill")
            try await restore(bench, from: backup)
            try await bench.startServer()
            for host in ["h1", "h2"] { try await bench.connected(host) }

            try await until("what runs as recorded is seen", limit: 30) {
                try await bench.vm("same").state == "running"
            }
            for _ in 1...2 {
                let recovery = try await bench.roost("recover", "-o", "json").json(RecoveryResource.self)
                #expect(recovery.state == "observing" && recovery.hosts.isEmpty)
                let fates = Dictionary(recovery.vms.map { ($0.name, $0.fate) }) { first, _ in first }
                #expect(fates == ["again": "adopted", "moved": "adopted", "gone": "stopped"])
                #expect(recovery.domains.map(\.vm) == [late.id])
                for (name, host) in [("again", "h1"), ("moved", "h2")] {
                    let vm = try await bench.vm(name)
                    #expect(vm.state == "unknown" && vm.waitingFor?.reason == "records-restored")
                    #expect(vm.conflicts.map(\.epoch) == [2])
                    #expect(try await vm.conflicts.first?.host == bench.host(host).id)
                }
                for words in [
                    ["vm", "stop", "same", "--mode", "cold"], ["vm", "start", "gone"], ["host", "add", "h9"],
                ] {
                    let refused = try await bench.tryRoost(arguments: words)
                    #expect(refused.status == 4 && refused.err.contains("roost recover --accept"), "\(refused.err)")
                }
                #expect(try await processes(of: guests, bench) == pids)
                // It outlives a restart.
                try await bench("server", "1", "stop")
                try await bench.startServer()
                for host in ["h1", "h2"] { try await bench.connected(host) }
                try await until("what runs as recorded is seen", limit: 30) {
                    try await bench.vm("same").state == "running"
                }
            }
            #expect(try await bench.roost("recover").out.contains("observing, changes nothing"))

            try await bench.roost("recover", "--accept")
            for name in ["again", "moved"] {
                #expect(try await bench.vm(name, becomes: "running").epoch == 1_000_001)
            }
            #expect(try await bench.vm("moved").host == bench.host("h2").id)
            #expect(try await bench.vm("same").state == "running")
            #expect(try await bench.vm("gone").state == "stopped")
            #expect(try await processes(of: guests, bench) == pids)

            try await bench.roost("vm", "stop", "same", "--mode", "cold")
            try await bench.roost("vm", "stop", "again", "--mode", "cold")
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await bench.roost("vm", "start", "again", "--host", "h2")
            let started = try await bench.vm("again")
            #expect(started.state == "running" && started.epoch == 1_000_002)
            try await bench.roost("vm", "migrate", "moved", "--to", "h1")
            #expect(try await bench.vm("moved").epoch == 1_000_002)
            #expect(try await bench.domains(on: "h1") == [moved.id])
            try await bench.roost("host", "orphans", "adopt", "h2", late.id, "--name", "late", "--image", "tiny")
            #expect(try await bench.vm("late").state == "running")
            let audit = try await bench.roost("event", "--after", "0", "-o", "json").out
            #expect(audit.contains("recovery.accepted"))
            _ = gone
        }

        /// A copy that nobody marked: the agents know better.
        private func putBackInSilence(_ bench: Bench) async throws {
            try await bench("server", "1", "stop")
            try copyDatabase(from: "\(bench.directory)/server", to: "\(bench.directory)/older")
            try await bench.startServer()
            for host in ["h1", "h2"] { try await bench.connected(host) }
            try await bench.roost("vm", "start", "same", "--host", "h1")
            let epoch = try await bench.vm("same").epoch
            let pids = try await processes(of: [(bench.vm("same").id, "h1")], bench)
            try await bench("server", "1", "stop")
            try copyDatabase(from: "\(bench.directory)/older", to: "\(bench.directory)/server")
            try await bench.startServer()
            for host in ["h1", "h2"] { try await bench.connected(host) }
            let recovery = try await bench.roost("recover", "-o", "json").json(RecoveryResource.self)
            #expect(recovery.state == "observing")
            #expect(recovery.reason?.contains("has heard of later records") == true)
            #expect(try await bench.tryRoost("vm", "start", "same", "--host", "h2").status == 4)
            try await bench.roost("recover", "--accept")
            let vm = try await bench.vm("same", becomes: "running")
            #expect(vm.epoch == 2_000_001 && epoch < vm.epoch)
            #expect(try await processes(of: [(vm.id, "h1")], bench) == pids)
        }

        /// All files of it, in place of what was there. No server uses either.
        private func copyDatabase(from source: String, to target: String) throws {
            let files = FileManager.default
            try files.createDirectory(atPath: target, withIntermediateDirectories: true)
            for suffix in ["", "-wal", "-shm"] {
                let name = "roost.db\(suffix)"
                try? files.removeItem(atPath: "\(target)/\(name)")
                guard files.fileExists(atPath: "\(source)/\(name)") else { continue }
                try files.copyItem(atPath: "\(source)/\(name)", toPath: "\(target)/\(name)")
            }
        }

        /// As an operator does who has lost the server's disk, but not the images.
        private func restore(_ bench: Bench, from backup: String) async throws {
            let (place, lost) = ("\(bench.directory)/server", "\(bench.directory)/server-lost")
            try FileManager.default.moveItem(atPath: place, toPath: lost)
            try await roostd("restore", "--from", backup, "--data-dir", place)
            try FileManager.default.moveItem(atPath: "\(lost)/images", toPath: "\(place)/images")
            let again = try await Self.run("restore", "--from", backup, "--data-dir", place)
            #expect(again.status != 0 && again.err.contains("There is a database in"), "\(again.err)")
        }

        private func processes(of guests: [(vm: String, host: String)], _ bench: Bench) async throws -> [String] {
            var pids: [String] = []
            for guest in guests { pids.append(try await bench("qemu", guest.host, guest.vm, "pid").out) }
            return pids
        }

        private func roostd(_ arguments: String...) async throws {
            let output = try await Self.run(arguments)
            guard output.status == 0 else { throw ProgramFailed(description: "roostd \(arguments): \(output.err)") }
        }

        private static func run(_ arguments: String...) async throws -> Output { try await run(arguments) }

        private static func run(_ arguments: [String]) async throws -> Output {
            let programs = ProcessInfo.processInfo.environment["ROOST_BIN"] ?? "\(Bench.root)/.build/debug"
            return try await Program.run("\(programs)/roostd", arguments)
        }
    }
}
