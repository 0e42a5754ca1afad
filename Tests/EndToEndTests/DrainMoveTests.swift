import APIContract
import Foundation
import Testing

extension EndToEnd {
    /// Hosts that are drained while their guests go on.
    @Suite(.serialized) struct Maintenance {
        private func operation(_ id: String, _ bench: Bench) async throws -> OperationResource {
            try await bench.roost("operation", "show", id, "-o", "json").json()
        }

        private func startDrain(_ bench: Bench) async throws -> String {
            try await bench.roost("host", "maintain", "h1", "--no-wait").out
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }

        @Test func `a host is drained and its guests count on`() async throws {
            let bench = try await EndToEnd.bench()
            var guests: [VMResource] = []
            for name in ["drain1", "drain2", "drain3"] { guests.append(try await bench.runningVM(name, on: "h1")) }
            for guest in guests { try await bench.console(of: guest.name, says: "tick 1") }
            let logs = try guests.map { try TickLog(of: $0, on: "h1", bench) }
            let plan = try await bench.roost("host", "maintain", "h1", "--plan").out
            let moving = plan.split(separator: "\n").filter { $0.contains("moves to h2") }
            #expect(moving.count == 3, "\(plan)")
            #expect(try await bench.host("h1").state == "enabled")
            let said = try await bench.roost("host", "maintain", "h1").out
            #expect(said == "Drained h1: no VM is placed on it.\n")
            #expect(try await bench.host("h1").state == "maintenance")
            #expect(try await bench.host("h1").allocated.memory == 0)
            #expect(try await bench.domains(on: "h1").isEmpty)
            for (guest, left) in zip(guests, logs) {
                let moved = try await bench.vm(guest.name)
                #expect(moved.state == "running" && moved.epoch == 2)
                let before = try left.all.max() ?? 0
                var log = left
                try log.arrived(on: "h2")
                try await until("\(guest.name) counts on", limit: 30) { [log] in try log.latest.contains { $0 > before }
                }
                let counted = try log.all
                #expect(counted == Array(1...counted.count), "each number once, and none left out")
            }
            try await bench.roost("host", "enable", "h1")
            for guest in guests { try await bench.roost("vm", "delete", guest.name) }
        }

        @Test func `R34 with nowhere to go a guest runs on, and the drain says why and can be cancelled`() async throws
        {
            let bench = try await EndToEnd.bench()
            let vm = try await bench.runningVM("r34", on: "h1")
            try await bench.roost("host", "maintain", "h2")
            let drain = try await startDrain(bench)
            try await until("it says why", limit: 20) {
                try await operation(drain, bench).progress?.contains("r34: No host can take it.") ?? false
            }
            #expect(try await startDrain(bench) == drain)
            #expect(try await bench.domains(on: "h1").contains(vm.id))
            try await bench.roost("operation", "cancel", drain)
            #expect(try await operation(drain, bench).state == "cancelled")
            #expect(try await bench.host("h1").state == "maintenance")
            let now = try await bench.vm("r34")
            #expect(now.state == "running" && now.epoch == 1 && now.host == vm.host)
            try await bench.roost("vm", "delete", "r34")
            for host in ["h1", "h2"] { try await bench.roost("host", "enable", host) }
        }

        @Test func `a server that dies while it drains a host ends the drain after its restart`() async throws {
            let bench = try await EndToEnd.bench()
            var guests: [VMResource] = []
            for name in ["crash1", "crash2", "crash3"] { guests.append(try await bench.runningVM(name, on: "h1")) }
            for guest in guests { try await bench.console(of: guest.name, says: "tick 1") }
            for guest in guests { try await bench("virsh", "h1", "migrate-setspeed", guest.id, "1") }
            let drain = try await startDrain(bench)
            try await until("two of them move", limit: 30) { [guests] in
                let moves = try await bench.roost("operation", "list", "--host", "h1", "-o", "json")
                    .json(Page<OperationResource>.self).items
                return moves.count { move in
                    move.kind == "migrate" && (move.transfer?.bytesProcessed ?? 0) > 0
                        && guests.contains { $0.id == move.vm }
                } == 2
            }
            try await bench("server", "kill")
            try await bench.startServer()
            for host in ["h1", "h2"] { try await bench.connected(host) }
            for guest in guests { try? await bench("virsh", "h1", "migrate-setspeed", guest.id, "1000") }
            try await until("the drain has ended", limit: 180) { try await operation(drain, bench).isEnded }
            #expect(try await operation(drain, bench).outcome == "drained")
            #expect(try await bench.domains(on: "h1").isEmpty)
            for guest in guests {
                #expect(try await bench.vm(guest.name).state == "running")
                #expect(try await bench.domains(on: "h2").contains(guest.id))
            }
            try await bench.roost("host", "enable", "h1")
            for guest in guests { try await bench.roost("vm", "delete", guest.name) }
        }
    }
}
