import APIServer
import ControlPlane
import Domain
import HostGateway
import Identity
import Logging
import ServiceLifecycle

/// Runs the job engine and the retention sweep; a graceful shutdown hands over what is under way.
struct EngineService: Service {
    let engine: JobEngine
    let retention: Retention

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask { try await engine.run() }
                group.addTask { await retention.run() }
            }
        }
    }
}

/// Keeps this node among those of its database, and does what the others ask of its agents. A database of the node's own has
/// no others.
struct MembershipService: Service {
    let nodes: NodeService
    let relay: RelayedSessions
    let isShared: Bool

    func run() async throws {
        guard isShared else { return try await gracefulShutdown() }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await nodes.run() }
                group.addTask { await relay.serve() }
            }
        }
    }
}

/// Writes every committed change to the log, with what it is about.
struct ChangeLog: Service {
    let events: AsyncStream<NumberedEvent>
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await numbered in events {
                let event = numbered.event
                var metadata: Logger.Metadata = ["event": "\(event.kind)", "by": "\(event.principal)"]
                metadata["vm"] = event.vm.map { "\($0)" }
                metadata["host"] = event.host.map { "\($0)" }
                metadata["job"] = event.job.map { "\($0)" }
                metadata["epoch"] = event.epoch.map { "\($0)" }
                logger.info("\(event.message)", metadata: metadata)
            }
        }
    }
}

/// Says where the server listens, in the log and in the hint file, once it does; then waits for the end.
struct Announcement: Service {
    let front: HTTPFront
    let gateway: GatewayServer
    let directory: ServerDirectory
    let options: SettledOptions
    let logger: Logger

    func run() async throws {
        let port = try await front.port()
        let agentPort = try await gateway.port
        let scheme = options.isTLS ? "https" : "http"
        let server = "\(scheme)://\(options.listen.reachableHost):\(port)"
        try directory.writeHint(server: server)
        logger.info(
            "roostd is ready",
            metadata: ["api": "\(server)", "agents": "\(options.agentListen.host):\(agentPort)"])
        try await gracefulShutdown()
    }
}

/// Join tokens pin the server's own certificate authority.
struct JoinSecrets: SecretSource {
    let authority: CertificateAuthority

    func joinSecret() throws -> JoinSecret {
        let token = try JoinTokenText(for: authority)
        return JoinSecret(token: token.text, hash: token.secretHash)
    }
}
