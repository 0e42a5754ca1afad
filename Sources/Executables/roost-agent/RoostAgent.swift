import AgentDisk
import ArgumentParser
import Domain
import FoundationEssentials
import HostAgent
import Identity
import LibvirtHypervisor
import Logging
import MigrationTunnel
import NIOCore
import Platform
import ServerLink
import ServiceLifecycle
import UnixSignals

/// The agent that runs on every host, beside libvirt.
@main
struct RoostAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost-agent",
        abstract: "Roost's agent on a host: dials in to the management server and drives libvirt.",
        version: Release.version)

    @Option(
        name: .long, help: "The server's address for agents, ADDR:PORT; more than one, by commas, are tried in turn.")
    var server: String

    @Option(name: .long, help: "A join token, for the first start: roost host add NAME.")
    var join: String?

    @Option(name: .long, help: "Where the agent keeps its certificate and its memory.")
    var dataDir = "/var/lib/roost-agent"

    @Option(name: .long, help: "The host's libvirt.")
    var libvirt = "qemu:///system"

    @Option(
        name: .long,
        help: "How guests run: auto tries KVM with a test guest, kvm and qemu (emulation) take it as given.")
    var acceleration = "auto"

    @Option(name: .long, help: "Where images and root disks are kept. (default: DATA-DIR/pool)")
    var pool: String?

    @Option(
        name: .long,
        help: "The address under which other hosts reach this one for moves. (default: that towards the server)")
    var migrationAddress: String?

    @Option(name: .long, help: "Holds the sockets of moves; the same on all hosts, and open to libvirt's QEMU user.")
    var migrationDir = "/run/libvirt/roost"

    @Option(name: .long, help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    mutating func run() async throws {
        do {
            try await serve()
        } catch let error as Fault {
            throw StartFailure(error.message, error.hint)
        } catch let error as IdentityError {
            throw StartFailure(error.message, error.hint)
        }
    }

    private func serve() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError(
                "--log-level: '\(logLevel)' is none of trace, debug, info, notice, warning, error, critical.")
        }
        LoggingSystem.bootstrap { _ in LogText(level: level) }
        let logger = Logger(label: "roost-agent")
        // One stream to one server: one loop carries it, and each more costs memory on every host.
        NIOSingletons.groupLoopCountSuggestion = 1
        guard let acceleration = Acceleration(rawValue: acceleration) else {
            throw ValidationError("--acceleration: '\(acceleration)' is none of auto, kvm, qemu.")
        }
        let servers = try server.split(separator: ",").map { text in
            guard let address = ServerAddress(parsing: String(text)) else {
                throw ValidationError("--server: '\(text)' is not ADDR:PORT, for example 10.0.0.1:7443.")
            }
            return address
        }
        guard !servers.isEmpty else { throw ValidationError("--server: name at least one address.") }
        let token = try join.map { try JoinTokenText(parsing: $0) }

        // QEMU's own user has to pass through it to the pool and the console logs.
        let lock = try DataDirectoryLock(directory: dataDir, mode: 0o711)
        defer { withExtendedLifetime(lock) {} }
        let images = ServerImages(logger: logger)
        let hypervisor = LibvirtHypervisor(uri: libvirt, acceleration: acceleration)
        defer { hypervisor.close() }
        let files = AgentIdentityFiles(directory: dataDir)
        let agent = Agent(
            hypervisor: hypervisor,
            storage: try PoolStorage(
                directory: pool ?? "\(dataDir)/pool", consoleDirectory: "\(dataDir)/console", fetcher: images,
                ids: SystemIDs()),
            channel: MigrationTunnel(places: places(servers), identity: { try files.load() }, logger: logger),
            journal: try DiskCommandJournal(directory: "\(dataDir)/commands"),
            ledger: try DiskEpochLedger(directory: "\(dataDir)/epochs"), time: SystemTime(), ids: SystemIDs(),
            faults: FileFaultPoints.fromEnvironment(), bootID: try Self.bootID(), version: Release.version,
            logger: logger)
        let connection = ServerConnection(
            servers: servers, files: files, joinToken: token, inbox: agent,
            images: images, logger: logger)
        // What it says at a lower level describes each service with all that is in it.
        var groupLogger = logger
        groupLogger.logLevel = max(logger.logLevel, .info)
        let group = ServiceGroup(
            services: [Watch(agent: agent), connection], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: groupLogger)
        try await group.run()
        logger.info("roost-agent has stopped; the guests run on")
    }

    private func places(_ servers: [ServerAddress]) -> MigrationTunnel.Places {
        let given = migrationAddress
        var places = MigrationTunnel.Places(address: {
            if let given { return given }
            guard let server = servers.first else { throw StartFailure("No server is named.", nil) }
            return try LocalAddress.toward(server.host, port: server.port)
        })
        places.directory = migrationDir
        return places
    }

    /// Names this boot of the host.
    private static func bootID() throws -> String {
        let path = "/proc/sys/kernel/random/boot_id"
        do {
            return try String(contentsOfFile: path, encoding: .utf8).filter { !$0.isWhitespace }
        } catch {
            throw StartFailure("The boot id \(path) cannot be read.", "The agent runs on Linux only.")
        }
    }
}

/// The agent's watch over libvirt, as a service.
struct Watch: Service {
    let agent: Agent

    func run() async throws { await cancelWhenGracefulShutdown { await agent.run() } }
}

/// The agent cannot start; says why and what to do.
struct StartFailure: Error, CustomStringConvertible {
    let description: String

    init(_ message: String, _ hint: String?) {
        description = hint.map { "\(message)\nhint: \($0)" } ?? message
    }
}
