import ArgumentParser
import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import SQLStore

/// A host with many domains comes back: from its hello to records that say so, on a store that fsyncs.
struct ReconcileMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reconcile", abstract: "The time from a hello with many domains to the records.")

    @Option(name: .long, help: "A directory on the disk to measure; made, and removed at the end.")
    var directory: String

    @Option(name: .long, help: "How many domains the host has.")
    var domains = 1000

    @Option(name: .long, help: "How often.")
    var rounds = 10

    @Option(name: .long, help: "How long it may take, in ms.")
    var limit = 1000.0

    mutating func run() async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let logger = Logger(label: "measure") { _ in SwiftLogNoOpLogHandler() }
        let store = try SQLiteDatabase(
            path: "\(directory)/roost.db", clock: SystemTime(), faults: NoFaultPoints(), logger: logger,
            onCommit: { _, _ in })
        defer { store.close() }
        let context = Context(
            database: store, sessions: NoSessions(), time: SystemTime(), ids: SystemIDs(), random: SystemRandom(),
            faults: NoFaultPoints(), feed: CommitFeed(), settings: ControlSettings(node: "measure"), logger: logger)
        let host = HostID(from: SystemIDs())
        try await store.write("measure.host") { tx in
            try tx.insert(Host(id: host, name: "h", createdAt: tx.now, updatedAt: tx.now))
        }
        let machines = try await store.insertRunningVMs(domains, on: host)
        var samples = Samples()
        for round in 0...rounds {
            let took = try await Self.comeBack(host, with: machines, sequence: Int64(round), context)
            if round > 0 { samples.add(took) }
        }
        Figure(
            name: "\(domains) domains, from a host's hello to the records, median of \(samples.count)",
            value: "\(samples.median.tenths) ms (\(samples.range))", limit: "<= \(limit.tenths) ms",
            isMet: samples.median <= limit
        ).print()
    }

    /// The session is lost, so that every VM is unknown; then the host says hello, and every VM runs.
    private static func comeBack(
        _ host: HostID, with machines: [VM], sequence: Int64, _ context: Context
    ) async throws -> Duration {
        let sessions = HostSessionService(context)
        let latest = try await context.database.read { tx in try tx.host(host)?.session ?? 0 }
        try await sessions.closed(host, session: latest, reason: "measure")
        let hello = AgentHello(
            host: host, instance: "measure",
            facts: HostFacts(
                cpus: 64, memory: 1 << 20, agentVersion: "0",
                hypervisor: HypervisorFacts(domainType: "kvm", reason: "", libvirtVersion: "", qemuVersion: ""),
                pool: PoolID(trusted: "99999999-0000-4000-8000-000000000001")))
        let inventory = Inventory(
            bootID: "b", libvirtAnswered: true,
            domains: machines.map { ObservedDomain(vm: $0.id, epoch: Epoch(1), state: .running) },
            sequence: sequence)
        let clock = ContinuousClock()
        let begin = clock.now
        let grant = try await sessions.open(hello)
        try await sessions.established(grant, hello: hello, inventory: inventory)
        let took = clock.now - begin
        let running = try await context.database.read { tx in
            try tx.vms(placedOn: host).filter { $0.state.label == .running }.count
        }
        guard running == machines.count else { throw MeasureFailed("Only \(running) VMs run.") }
        return took
    }
}
