import APIContract
import Foundation
import Testing

/// What the rounds meet by chance at best, told step by step.
struct ChaosScenes: Sendable {
    let chaos: ChaosBench

    private static func name(_ host: SimulatedHost) -> String { "scene-\(host.name)" }

    func play() async throws {
        for host in chaos.simulated {
            let name = Self.name(host)
            _ = try await chaos.user.ask(
                "create \(name)", "POST", "/vms", CreateVMRequest(name: name, image: "tiny", cpus: 1, memory: 96))
            try await start(host)
        }
        try await deposed()
        try await deferredOverCrash()
        for host in chaos.simulated {
            _ = try await chaos.user.ask("delete", "DELETE", "/vms/\(Self.name(host))?wait=10", nil)
        }
    }

    /// A node with a stop under way for each of its hosts is cut off from the database. The hosts go to other nodes, which
    /// end the stops, and the VMs start anew. When the node goes on with what it had in hand, each agent refuses it.
    private func deposed() async throws {
        for host in chaos.simulated { for other in [1, 3] { host.become(.refused, towards: other) } }
        try await eachIs("with the second node") {
            $0.connection == "connected" && $0.node?.hasPrefix("server2-") == true
        }
        for host in chaos.simulated { host.become(.open) }
        try chaos.bench.set("stop.before-command", "hold", on: "server2")
        var stops: [OperationResource] = []
        for host in chaos.simulated { stops.append(try await stop(host, isDeferrable: false)) }
        try await each("stop is in the second node's hands") { host in
            let state = try await chaos.vm(Self.name(host)).state
            return try await operation(stops, of: host)?.state == "running" ? state == "stopping" : false
        }
        chaos.relays[1].become(.refused)
        try await eachIs("with another node") {
            $0.connection == "connected" && $0.node?.hasPrefix("server2-") == false
        }
        try await each("VM is stopped by another node") { try await chaos.vm(Self.name($0)).state == "stopped" }
        for host in chaos.simulated { try await start(host) }
        let lives = try await vms()
        chaos.relays[1].become(.open)
        try await until("the second node has joined anew", limit: 30) {
            try await chaos.bench.attempt("log", "server2").out.contains("joins anew")
        }
        try chaos.bench.clear("stop.before-command", "hold", on: "server2")
        try await each("agent has refused the stop of the node that was cut off") { host in
            guard let vm = lives[host.name] else { return false }
            return chaos.fleet.refusals(of: "stop", vm.id, vm.epoch - 1, at: host.name).contains(.staleEpoch)
        }
        chaos.journal.note("a node that was cut off: \(lives.count) of its stops refused, each by its agent")
        for (host, vm) in try await vms() {
            if vm != lives[host] { chaos.journal.violated("\(vm) is not as it was before the late stop") }
            if chaos.fleet.homes(of: vm.id) != [host: vm.epoch] {
                chaos.journal.violated("\(vm.name) runs at \(chaos.fleet.homes(of: vm.id)) after the late stop")
            }
        }
    }

    /// R29: stops wait for hosts that are away; every server crashes; the hosts come back with their guests alive, before the
    /// servers and three times. Each job looks again, and there is one for each.
    private func deferredOverCrash() async throws {
        for host in chaos.simulated { host.become(.held) }
        try await each("VM is unknown") { try await chaos.vm(Self.name($0)).state == "unknown" }
        for host in chaos.simulated { _ = try await stop(host, isDeferrable: true) }
        try await each("stop waits for its host") { try await jobs(of: $0).count == 1 }
        for server in 1...ChaosPlan.servers { try await chaos.bench("server", "\(server)", "kill") }
        for host in chaos.simulated { host.become(.open) }
        for server in 1...ChaosPlan.servers { try await chaos.startServer(server) }
        for _ in 1...3 {
            try await eachIs("connected") { $0.connection == "connected" }
            for host in chaos.simulated { host.breakConnections() }
        }
        try await each("VM is stopped") { try await chaos.vm(Self.name($0)).state == "stopped" }
        for host in chaos.simulated {
            let jobs = try await jobs(of: host)
            if jobs.map(\.outcome) != ["stopped"] {
                chaos.journal.violated("\(host.name) was to be stopped by one job: \(jobs)")
            }
            let vm = try await chaos.vm(Self.name(host))
            if !chaos.fleet.homes(of: vm.id).isEmpty { chaos.journal.violated("\(vm.name) is stopped, and runs") }
        }
        chaos.journal.note("every server crashed over \(chaos.simulated.count) stops that waited for a host")
    }

    // MARK: Parts

    private func start(_ host: SimulatedHost) async throws {
        let name = Self.name(host)
        _ = try await chaos.user.ask(
            "start \(name)", "POST", "/vms/\(name)/actions/start?wait=10", StartVMRequest(host: host.name))
        try await chaos.vm(name, becomes: "running")
    }

    private func stop(_ host: SimulatedHost, isDeferrable: Bool) async throws -> OperationResource {
        let name = Self.name(host)
        return try await chaos.user.ask(
            "stop \(name)", "POST", "/vms/\(name)/actions/stop", StopVMRequest(mode: "cold", defer: isDeferrable)
        ).json()
    }

    private func operation(_ asked: [OperationResource], of host: SimulatedHost) async throws -> OperationResource? {
        guard let index = chaos.simulated.firstIndex(where: { $0 === host }) else { return nil }
        return try await chaos.user.ask("look", "GET", "/operations/\(asked[index].id)", nil).json()
    }

    /// The GC jobs that stop the host's VM as it is now.
    private func jobs(of host: SimulatedHost) async throws -> [GCJobResource] {
        let vm = try await chaos.vm(Self.name(host))
        return try await chaos.api().all("/gc-jobs", of: GCJobResource.self).filter {
            $0.vm == vm.id && $0.epoch == vm.epoch && $0.kind == "stop-vm"
        }
    }

    /// The VM of each simulated host.
    private func vms() async throws -> [String: VMResource] {
        var found: [String: VMResource] = [:]
        for host in chaos.simulated { found[host.name] = try await chaos.vm(Self.name(host)) }
        return found
    }

    private func each(_ what: String, _ condition: (SimulatedHost) async throws -> Bool) async throws {
        for host in chaos.simulated {
            try await until("\(host.name)'s \(what)", limit: 45) { try await condition(host) }
        }
    }

    private func eachIs(_ what: String, _ condition: (HostResource) -> Bool) async throws {
        for host in chaos.simulated {
            try await until("\(host.name) is \(what)", limit: 45) { condition(try await chaos.host(host.name)) }
        }
    }
}
