import APIServer
import ArgumentParser
import ControlPlane
import Domain
import Foundation
import HostGateway
import Identity
import ImageStore
import Logging
import Platform
import SQLStore
import ServiceLifecycle
import UnixSignals

/// The management server.
@main
struct Roostd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roostd",
        abstract: "Roost's management server: the API, the records, the jobs, the agents' sessions.",
        version: Release.version,
        subcommands: [Serve.self, Backup.self, Restore.self, MarkRestored.self], defaultSubcommand: Serve.self)
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the server; what roostd does without a command.")

    @OptionGroup var options: ServerOptions

    mutating func run() async throws {
        do {
            let options = try await options.settled()
            LoggingSystem.bootstrap { _ in LogText(level: options.logLevel) }
            try await Self.serve(options)
        } catch let error as Fault {
            throw StartFailure(error.message, error.hint)
        }
    }

    private static func serve(_ options: SettledOptions) async throws {
        let logger = Logger(label: "roostd")
        let directory = try ServerDirectory(options.dataDirectory, shared: options.sharedDirectory)
        let time = SystemTime()
        let faults = FileFaultPoints.fromEnvironment()
        let feed = CommitFeed()
        let registry = SessionRegistry(settings: options.gateway)
        let (events, log) = AsyncStream.makeStream(of: NumberedEvent.self)
        let database = try (options.database ?? .sqlite(path: directory.database)).open(
            clock: time, faults: faults, logger: logger,
            onCommit: { events, jobsTouched in
                for event in events { log.yield(event) }
                if let last = events.last { registry.note(event: last.id) }
                feed.committed(jobsTouched: jobsTouched)
            }, onNotice: { feed.committed(jobsTouched: $0) })
        defer { database.close() }

        let (authority, token) = try directory.whileAlone {
            (try CertificateAuthority.open(in: directory.authority), try directory.adminTokenHash())
        }
        let ids = SystemIDs()
        let node = NodeIdentity(
            name: options.control.node, place: try directory.place(), version: Release.version, ids: ids)
        let relay = RelayedSessions(
            registry: registry, database: database, feed: feed, node: node, time: time, ids: ids, logger: logger)
        let context = Context(
            database: database, sessions: relay, time: time, ids: ids, random: SystemRandom(),
            faults: faults, feed: feed, settings: options.control, logger: logger, node: node)
        let sessions = HostSessionService(context)
        let nodes = NodeService(context, lease: options.nodeLease, isAlone: options.database == nil)
        try await nodes.join()
        let imageFiles = try DiskImageFiles(directory: directory.images)

        let authenticator = Authenticator(database)
        try await authenticator.register(tokenHash: token, for: Principal(name: "admin"))
        let gateway = try GatewayServer(
            host: options.agentListen.host, port: options.agentListen.port, authority: authority, observer: sessions,
            images: imageFiles, registry: registry, settings: options.gateway, logger: logger)
        let limits = HTTPLimits()
        let services = APIServices(
            vms: VMService(context), hosts: HostService(context, secrets: JoinSecrets(authority: authority)),
            images: ImageService(context, files: imageFiles, sizeLimit: limits.fileBytes), jobs: JobService(context),
            events: EventService(context), recovery: RecoveryService(context), nodes: NodeList(context),
            authenticator: authenticator, time: time,
            ids: ids,
            node: options.control.node, version: Release.version)
        let front = HTTPFront(
            services, listen: options.listen, tls: try options.apiIdentity(), limits: limits, logger: logger)

        // What it says at a lower level describes each service with all that is in it: megabytes.
        var groupLogger = logger
        groupLogger.logLevel = max(logger.logLevel, .info)
        var configuration = ServiceGroupConfiguration(
            services: [
                ChangeLog(events: events, logger: logger),
                MembershipService(nodes: nodes, relay: relay, isShared: options.database != nil), gateway,
                EngineService(engine: JobEngine(context), retention: Retention(context)), front,
                Announcement(front: front, gateway: gateway, directory: directory, options: options, logger: logger),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: groupLogger)
        // An upload that stalls is not waited for longer than this.
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        try await ServiceGroup(configuration: configuration).run()
        try await nodes.leave()
        logger.info("roostd has stopped")
    }
}
