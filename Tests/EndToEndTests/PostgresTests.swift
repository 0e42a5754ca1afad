import APIContract
import Foundation
import PostgresBench
import Testing

extension EndToEnd {
    /// A server that keeps its records in PostgreSQL, on real hosts.
    @Suite(.serialized) struct OnPostgres {
        @Test func `a deferred stop ends on PostgreSQL as on SQLite, also when the database crashes meanwhile`()
            async throws
        {
            let postgres = try PostgresServer()
            let database = try postgres.makeDatabase()
            let bench = try await Bench.up(hosts: 2, "pg", database: database)
            do {
                try await run(bench, postgres, database)
            } catch {
                await bench.down()
                postgres.end()
                throw error
            }
            await bench.down()
            postgres.end()
            #expect(!FileManager.default.fileExists(atPath: postgres.directory))
        }

        private func run(_ bench: Bench, _ postgres: PostgresServer, _ database: String) async throws {
            let vm = try await bench.runningVM("pg", on: "h1")
            try await bench("cut", "h1")
            try await bench.vm("pg", becomes: "unknown", limit: 15)
            try await bench.roost("vm", "stop", "pg", "--mode", "cold", "--defer")
            try postgres.crash()
            // Nobody is told what is not known.
            async let during = bench.tryRoost("vm", "show", "pg")
            try await bench("heal", "h1")
            try postgres.start()
            #expect(try await during.status == 0)
            let ended = try await bench.endedGCJob(of: "pg")
            #expect(ended.outcome == "stopped")
            #expect(try await bench.vm("pg").state == "stopped")
            #expect(try await !bench.domains(on: "h1").contains(vm.id))

            // A start during which the database is restarted, as for an upgrade.
            async let starting = bench.roost("vm", "start", "pg", "--host", "h2")
            try postgres.stop()
            try postgres.start()
            _ = try await starting
            #expect(try await bench.vm("pg").state == "running")
            #expect(try await bench.domains(on: "h2") == [vm.id])
            try await bench("server", "kill")
            try await bench.startServer()
            try await bench.connected("h2")
            #expect(try await bench.vm("pg", becomes: "running").epoch == 2)
            try await bench.roost("vm", "delete", "pg", "--expunge")
            #expect(try postgres.run("SELECT count(*) FROM vm", on: database) == ["0"])
        }
    }
}
