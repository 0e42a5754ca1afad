import AgentDisk
import Domain
import Foundation
import HostAgent
import Identity
import Logging
import Platform
import ServerLink
import Synchronization

/// A host whose agent is real, up to its connection with real servers, and whose libvirt is simulated.
///
/// The agent reaches each server through a relay of its own; it knows all of them, or a load balancer in front of them.
final class SimulatedHost: Sendable {
    let name: String
    let libvirt: SimulatedLibvirt
    private let fleet: SimulatedFleet
    private let directory: String
    /// By server, in the order in which this host dials them.
    private let ways: [(server: Int, relay: Relay, port: Int)]
    /// Takes each connection to the next of the ways, as a load balancer that knows nothing of what it carries.
    private let balancer: (relay: Relay, port: Int)?
    private let process = Mutex<(task: Task<Void, Never>, life: SimulatedLife)?>(nil)
    private let failed: @Sendable (String) -> Void

    /// - Parameters:
    ///   - first: the server that it dials first.
    ///   - isBalanced: whether it knows the load balancer alone.
    ///   - failed: told why an agent ended that nobody had ended.
    init(
        _ name: String, _ bench: Bench, servers: Int, first: Int, isBalanced: Bool, fleet: SimulatedFleet,
        failed: @escaping @Sendable (String) -> Void
    ) throws {
        self.name = name
        self.fleet = fleet
        self.failed = failed
        libvirt = SimulatedLibvirt(name, fleet)
        directory = "\(bench.faults)/\(name)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let wire = bench.directory
        ways = try (0..<servers).map { offset in
            let server = (first - 1 + offset) % servers + 1
            let (relay, port) = try Relay.atFreePort { Wire(directory: wire).dial(.agents, ofServer: server) }
            return (server, relay, port)
        }
        let (ports, turn) = (ways.map(\.port), Turn())
        balancer =
            isBalanced
            ? try Relay.atFreePort { Relay.dial(Relay.address(port: ports[turn.next() % ports.count])) } : nil
    }

    private final class Turn: Sendable {
        private let count = Mutex(0)

        func next() -> Int {
            count.withLock { count in
                defer { count += 1 }
                return count
            }
        }
    }

    /// Starts the agent, the first time with a join token.
    func start(joining token: String? = nil) throws {
        let life = SimulatedLife()
        let log = try LogFile(at: "\(directory)/agent.log")
        let logger = Logger(label: name) { _ in log }
        let agent = Agent(
            hypervisor: SimulatedHypervisor(libvirt: libvirt, life: life), storage: SimulatedStorage(),
            channel: SimulatedChannel(),
            journal: MortalJournal(disk: try DiskCommandJournal(directory: "\(directory)/commands"), life: life),
            ledger: MortalLedger(disk: try DiskEpochLedger(directory: "\(directory)/epochs"), life: life),
            time: SystemTime(), ids: SystemIDs(), faults: NoFaultPoints(), bootID: "boot-of-\(name)",
            version: "simulated", logger: logger)
        var settings = LinkSettings()
        settings.retryCap = .seconds(1)
        settings.refusedRetry = .seconds(1)
        settings.welcomeLimit = .seconds(2)
        let connection = ServerConnection(
            servers: (balancer.map { [$0.port] } ?? ways.map(\.port)).map {
                ServerAddress(host: "127.0.0.1", port: $0)
            },
            files: AgentIdentityFiles(directory: directory),
            joinToken: try token.map { try JoinTokenText(parsing: $0) },
            inbox: WatchedInbox(agent: agent, host: name, fleet: fleet),
            images: ServerImages(settings: settings, logger: logger), settings: settings, logger: logger)
        let (name, failed) = (name, failed)
        let task = Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await agent.run() }
                group.addTask {
                    do { try await connection.run() } catch {
                        if !Task.isCancelled { failed("the agent of \(name) ended: \(error)") }
                    }
                }
            }
        }
        process.withLock { $0 = (task, life) }
    }

    /// Ends the agent as `kill -9` does: nothing that it was at goes on, and nobody is told.
    func kill() async {
        guard let (task, life) = process.withLock({ $0 }) else { return }
        life.end()
        for way in ways { way.relay.cut() }
        task.cancel()
        await task.value
        process.withLock { $0 = nil }
    }

    /// Cuts the agent off from one server, or from all; `open` mends it.
    func become(_ way: Relay.Way, towards server: Int? = nil) {
        for one in ways where server == nil || one.server == server { one.relay.become(way) }
    }

    /// Breaks the connections; the agent may dial again at once.
    func breakConnections() { for way in ways { way.relay.cut() } }

    func end() async {
        await kill()
        for way in ways { way.relay.close() }
        balancer?.relay.close()
    }
}

/// An agent's inbox that tells the fleet of every command and of every refusal.
struct WatchedInbox: AgentInbox {
    let agent: Agent
    let host: String
    let fleet: SimulatedFleet

    func execute(_ command: HostCommand, id: CommandID) async throws(CancellationError) -> CommandOutcome {
        fleet.arrived(command, at: host)
        let outcome = try await agent.execute(command, id: id)
        if case .rejected(let fault) = outcome { fleet.refused(command, at: host, fault.code) }
        return outcome
    }

    func hello() async -> HelloContent { await agent.hello() }
    func settle(_ id: CommandID) async -> AgentSettlement { await agent.settle(id) }
    func collectInventory() async -> Inventory { await agent.collectInventory() }
    func collectHoldings() async throws(Fault) -> HostHoldings { try await agent.collectHoldings() }
    func consoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8] {
        try await agent.consoleLog(of: vm, limit: limit)
    }
    func hear(_ point: RecordPoint) async { await agent.hear(point) }
    func acknowledge(_ id: CommandID) async { await agent.acknowledge(id) }
    func reports() -> AsyncStream<AgentReport> { agent.reports() }
}

/// The log of one agent, at the end of a file.
struct LogFile: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    private let file: FileHandle

    init(at path: String) throws {
        if !FileManager.default.fileExists(atPath: path) { FileManager.default.createFile(atPath: path, contents: nil) }
        guard let file = FileHandle(forWritingAtPath: path) else {
            throw ProgramFailed(description: "no log at \(path)")
        }
        try file.seekToEnd()
        self.file = file
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let line =
            ([Date().formatted(.iso8601.time(includingFractionalSeconds: true)), "\(event.level)", "\(event.message)"]
            + facts)
            .joined(separator: " ")
        file.write(Data("\(line)\n".utf8))
    }
}
