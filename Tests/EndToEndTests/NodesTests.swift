import APIContract
import Foundation
import PostgresBench
import Testing

extension EndToEnd {
    /// Two servers on one PostgreSQL database, real hosts with either.
    @Suite(.serialized) struct Nodes {
        @Test func `a node is killed, or frozen and thawed, and a guest moves between hosts of two nodes`() async throws
        {
            let postgres = try PostgresServer()
            let database = try postgres.makeDatabase()
            let bench = try await Bench.up(hosts: 2, "nodes", database: database, servers: 2)
            do {
                let vm = try await bench.runningVM("n", on: "h1")
                try await killed(bench, vm)
                try await frozen(bench, vm)
                try await moved(bench)
            } catch {
                await bench.down()
                postgres.end()
                throw error
            }
            await bench.down()
            postgres.end()
        }

        /// R29: a job waits for h1; its node dies; h1 comes to the other node, which does the job once.
        private func killed(_ bench: Bench, _ vm: VMResource) async throws {
            #expect(try await bench.host("h1").node?.hasPrefix("server-") == true)
            let other = bench.through(2)
            try await bench("cut", "h1")
            try await bench.vm("n", becomes: "unknown", limit: 15)
            try await bench.roost("vm", "stop", "n", "--mode", "cold", "--defer")
            try await bench("server", "1", "kill")
            #expect(try await other.vm("n").state == "stopping")
            try await bench("heal", "h1")
            let ended = try await other.endedGCJob(of: "n")
            #expect(ended.outcome == "stopped")
            #expect(ended.attempts == 1)
            #expect(try await other.host("h1").node?.hasPrefix("server2-") == true)
            #expect(try await other.vm("n").state == "stopped")
            #expect(try await bench.domains(on: "h1").isEmpty)
            try await bench.startServer()
            #expect(try await bench.vm("n").state == "stopped")
        }

        /// Both hosts are with the second node, which is frozen with a stop under way, and thaws after all that it knew has
        /// changed.
        private func frozen(_ bench: Bench, _ vm: VMResource) async throws {
            let other = bench.through(2)
            try await other.roost("vm", "start", "n", "--host", "h1")
            #expect(try await bench.vm("n").epoch == 2)
            try bench.set("stop.before-command", "hold", on: "server2")
            try await other.roost("vm", "stop", "n", "--mode", "cold", "--no-wait")
            try await until("the stop is under way", limit: 20) {
                bench.isThere("stop.before-command", "held", on: "server2")
            }
            try await bench("server", "2", "freeze")
            for host in ["h1", "h2"] {
                try await until("\(host) is with the first node", limit: 40) {
                    try await bench.host(host).node?.hasPrefix("server-") == true
                }
            }
            // The first node ends the stop, and the VM lives on with a new epoch.
            try await bench.vm("n", becomes: "stopped", limit: 40)
            try await bench.roost("vm", "start", "n", "--host", "h1")
            let running = try await bench.vm("n", becomes: "running")
            #expect(running.epoch == 3)
            try bench.clear("stop.before-command", "hold", on: "server2")
            try await bench("server", "2", "thaw")
            try await until("the second node has joined anew", limit: 30) {
                try await other.attempt("log", "server2").out.contains("joins anew")
            }
            #expect(try await other.vm("n").state == "running")
            #expect(try await bench.vm("n").revision == running.revision)
            #expect(try await bench.domains(on: "h1") == [vm.id])
            let log = try await bench("log", "h1").out
            #expect(!log.split(separator: "\n").contains { $0.contains("command=stop") && $0.contains("epoch=3") })
        }

        /// h1 is with one node and h2 with the other: a move needs both, and so does looking at a console from anywhere.
        private func moved(_ bench: Bench) async throws {
            let other = bench.through(2)
            try await bench("server", "1", "stop")
            for host in ["h1", "h2"] {
                try await until("\(host) is with the second node", limit: 30) {
                    let now = try await other.host(host)
                    return now.connection == "connected" && now.node?.hasPrefix("server2-") == true
                }
            }
            try await bench.startServer()
            try await until("h2 is with the first node", limit: 30) {
                let now = try await bench.host("h2")
                if now.connection == "connected", now.node?.hasPrefix("server-") == true { return true }
                _ = try await bench.tryRoost("host", "reconnect", "h2")
                return false
            }
            #expect(try await bench.host("h1").node?.hasPrefix("server2-") == true)
            try await bench.vm("n", becomes: "running", limit: 20)
            try await bench.console(of: "n", says: "tick 1")
            for (through, target) in [(bench, "h2"), (other, "h1")] {
                try await through.roost("vm", "migrate", "n", "--to", target)
                let there = try await through.vm("n")
                #expect(there.state == "running")
                let host = try await through.host(target)
                #expect(there.host == host.id)
            }
            try await bench.console(of: "n", says: "tick 2")
            try await other.roost("vm", "delete", "n", "--expunge")
            for host in ["h1", "h2"] { #expect(try await bench.domains(on: host).isEmpty) }
        }
    }
}
