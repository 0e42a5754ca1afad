import APIContract
import Foundation
import PostgresBench
import Testing

/// Three servers on one PostgreSQL, each with a way of its own to it, two real hosts and six simulated ones.
struct ChaosBench: Sendable {
    let bench: Bench
    let postgres: PostgresServer
    let database: String
    /// Each server's way to the database.
    let relays: [Relay]
    let fleet: SimulatedFleet
    let simulated: [SimulatedHost]
    let journal: RandomJournal
    private let clock = ClockSetting()

    static let real = (1...ChaosPlan.realHosts).map { "h\($0)" }

    static func up(_ journal: RandomJournal) async throws -> ChaosBench {
        let postgres = try PostgresServer()
        let database = try postgres.makeDatabase()
        let relays = try (1...ChaosPlan.servers).map { server in
            let way = "\(postgres.directory)/way\(server)"
            try FileManager.default.createDirectory(atPath: way, withIntermediateDirectories: true)
            return try Relay.atSocket("\(way)/.s.PGSQL.5432", to: "\(postgres.directory)/.s.PGSQL.5432")
        }
        let ways = (1...ChaosPlan.servers).map {
            database.replacing("host=\(postgres.directory)", with: "host=\(postgres.directory)/way\($0)")
        }
        let bench = try await Bench.up(
            hosts: ChaosPlan.realHosts, "chaos", databases: ways, nodeLease: ChaosPlan.lease)
        let fleet = SimulatedFleet { journal.violated($0) }
        let hosts = try (0..<ChaosPlan.simulatedHosts).map { number in
            try SimulatedHost(
                "s\(number + 1)", bench, servers: ChaosPlan.servers, first: number % ChaosPlan.servers + 1,
                isBalanced: number >= ChaosPlan.simulatedHosts - ChaosPlan.balancedHosts,
                fleet: fleet, failed: { journal.violated($0) })
        }
        return ChaosBench(
            bench: bench, postgres: postgres, database: database, relays: relays, fleet: fleet, simulated: hosts,
            journal: journal)
    }

    /// Adds the simulated hosts; each joins through the server that it dials first.
    func join() async throws {
        for host in simulated {
            let added = try await bench.roost("host", "add", host.name, "-o", "json").json(AddedHost.self)
            try host.start(joining: added.joinToken)
        }
        for host in simulated { try await bench.connected(host.name) }
    }

    func down() async {
        for host in simulated { await host.end() }
        await bench.down()
        for relay in relays { relay.close() }
        postgres.end()
    }

    /// Copies the logs of all servers and agents to `folder`, which takes the place of an earlier one.
    func keepLogs(in folder: String) throws {
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let logs =
            (1...ChaosPlan.servers).map { ("\(bench.directory)/\(Bench.serverName($0)).log", Bench.serverName($0)) }
            + Self.real.map { ("\(bench.directory)/\($0)/agent.log", $0) }
            + simulated.map { ("\(bench.faults)/\($0.name)/agent.log", $0.name) }
        for (path, name) in logs { try FileManager.default.copyItem(atPath: path, toPath: "\(folder)/\(name).log") }
    }

    // MARK: Looking

    var hostNames: [String] { Self.real + simulated.map(\.name) }

    func api(_ server: Int = 1, patience: Int = 5) -> BenchAPI {
        BenchAPI(directory: bench.directory, server: server, patience: patience)
    }

    var user: PatientUser { PatientUser(servers: (1...ChaosPlan.servers).map { api($0) }, journal: journal) }

    var check: RecordCheck { RecordCheck(api: api(), view: ChaosView(self), hosts: hostNames, journal: journal) }

    /// What the API says of a VM, by whichever server answers.
    func vm(_ name: String, from first: Int = 0) async throws -> VMResource {
        try await user.ask("show \(name)", "GET", "/vms/\(name)", nil, first: first).json()
    }

    @discardableResult
    func vm(_ name: String, becomes state: String, limit: Double = 30) async throws -> VMResource {
        var last: VMResource?
        try await until("\(name) is \(state)", limit: limit) {
            last = try await vm(name)
            return last?.state == state
        }
        guard let last else { throw ProgramFailed(description: "nothing is known of \(name)") }
        return last
    }

    func host(_ name: String, from first: Int = 0) async throws -> HostResource {
        try await user.ask("show \(name)", "GET", "/hosts/\(name)", nil, first: first).json()
    }

    // MARK: Servers

    /// Starts the server as a supervisor does: one that finds its database away says so and ends, and is started again.
    func startServer(_ number: Int) async throws {
        try await until("server \(number) runs", limit: 30) {
            do {
                try await bench.startServer(number, clock: clock[number])
                return true
            } catch let error as ProgramFailed where error.description.contains("The database cannot be opened") {
                journal.count("start without a database")
                return false
            }
        }
    }

    /// Starts the server anew with its wall clock set: `+1d`, `-2d`.
    func restartServer(_ number: Int, clock offset: String) async throws {
        clock[number] = offset
        try await bench("server", "\(number)", "stop")
        try await startServer(number)
    }

    /// Everything that was broken works again.
    func mend() async throws {
        for relay in relays { relay.become(.open) }
        for host in simulated { host.become(.open) }
        for server in 1...ChaosPlan.servers {
            // Says no where it does not run.
            _ = try await bench.attempt("server", "\(server)", "thaw")
            if try await bench("server", "\(server)", "status").out.hasPrefix("stopped") {
                try await startServer(server)
            }
        }
        for host in Self.real { try await bench("heal", host) }
        for host in hostNames {
            try await until("\(host) is connected", limit: 45) { try await self.host(host).connection == "connected" }
        }
    }
}

/// What runs on the hosts of such a bench.
struct ChaosView: HostView {
    private let bench: ChaosBench
    private let sight: HostSight

    init(_ bench: ChaosBench) {
        self.bench = bench
        sight = HostSight(directory: bench.bench.directory)
    }

    private func libvirt(of host: String) -> SimulatedLibvirt? { bench.simulated.first { $0.name == host }?.libvirt }

    func domains(on host: String) async -> [HostSight.Domain]? {
        guard let libvirt = libvirt(of: host) else { return await sight.domains(on: host) }
        return libvirt.domains.map { HostSight.Domain(name: "\($0.name)-\($0.vm.rawValue.prefix(8))", state: 1) }
    }

    func epoch(of domain: HostSight.Domain, on host: String) async -> Int64? {
        guard let libvirt = libvirt(of: host) else { return await sight.epoch(of: domain, on: host) }
        return libvirt.domains.first { domain.isOf($0.vm.rawValue) }?.epoch.rawValue
    }

    func evidence(of domain: String, on host: String) async -> String {
        guard libvirt(of: host) == nil else { return "simulated" }
        return await sight.evidence(of: domain, on: host)
    }
}
