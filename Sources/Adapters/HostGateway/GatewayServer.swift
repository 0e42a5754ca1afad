import AgentContract
package import ControlPlane
import Domain
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import Identity
package import Logging
import ServiceLifecycle
import X509

/// The listener that agents dial: mutual TLS, and the calls of the agent protocol.
package struct GatewayServer: Service {
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let registry: SessionRegistry
    private let settings: GatewaySettings
    private let endpoint: String

    /// `host` is a numeric address; port 0 takes a free one. `registry` must serve this server alone.
    package init(
        host: String, port: Int, authority: CertificateAuthority, observer: any HostSessionObserver,
        images: any ImageFiles, registry: SessionRegistry, settings: GatewaySettings = GatewaySettings(),
        logger: Logger
    ) throws {
        self.registry = registry
        self.settings = settings
        endpoint = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let transport = HTTP2ServerTransport.Posix(
            address: host.contains(":") ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port),
            transportSecurity: try Self.security(authority, logger), config: Self.transportConfig())
        let service = AgentGatewayService(
            authority: authority, observer: observer, images: images, registry: registry, settings: settings,
            logger: logger)
        server = GRPCServer(transport: transport, services: [service])
    }

    /// The port that the server listens on; waits until it does.
    package var port: Int {
        get async throws {
            let address = try await server.transport.listeningAddress
            return address.ipv4?.port ?? address.ipv6?.port ?? 0
        }
    }

    /// Serves until the graceful shutdown or a cancellation; either way every agent is sent away with a goodbye.
    package func run() async throws {
        let (endings, ending) = AsyncStream<Void>.makeStream()
        // Not a child: a cancelled gRPC server drops connections that it is just accepting, and NIO traps on those.
        let serving = Task {
            defer { ending.finish() }
            try await server.serve()
        }
        let watching = Task {
            for await _ in endings {
                registry.drain("the server shuts down")
                server.beginGracefulShutdown()
                try await Task.sleep(for: settings.drainLimit)
                serving.cancel()
            }
        }
        defer { watching.cancel() }
        do {
            try await withTaskCancellationOrGracefulShutdownHandler {
                try await serving.value
            } onCancelOrGracefulShutdown: {
                ending.yield()
            }
        } catch {
            // A server that was stopped before it listened says so with an error.
            if Task.isCancelled || Task.isShuttingDownGracefully { return }
            throw ListenFailure(endpoint: endpoint, cause: "\(error)")
        }
    }

    private static func security(
        _ authority: CertificateAuthority, _ logger: Logger
    ) throws -> HTTP2ServerTransport.Posix.TransportSecurity {
        let credential = try authority.issueServerCredential()
        let verifier = PeerVerifier(authority: authority.certificate)
        return .mTLS(
            certificateChain: credential.chain.map { .bytes($0, format: .der) },
            privateKey: .bytes(credential.key, format: .der)
        ) { tls in
            tls.trustRoots = .certificates([.bytes(credential.chain[1], format: .der)])
            tls.requireALPN = true
            tls.customVerificationCallback = { certificates, promise in
                do {
                    let leaf = try certificates.first.map { try Certificate(der: try $0.toDERBytes()) }
                    _ = try verifier.peer(presenting: leaf, at: Date())
                    promise.succeed(.certificateVerified(.init(.init(certificates))))
                } catch {
                    logger.notice("an agent's certificate was refused", metadata: ["reason": "\(error)"])
                    promise.succeed(.failed)
                }
            }
        }
    }

    private static func transportConfig() -> HTTP2ServerTransport.Posix.Config {
        .defaults { config in
            config.rpc.maxRequestPayloadSize = AgentProtocol.messageLimit
            // A session, a renewal and the images of many starts.
            config.http2.maxConcurrentStreams = 64
            // Sessions are watched by their own pings; this closes connections that carry no session.
            config.connection.maxIdleTime = .seconds(60)
            config.connection.keepalive.time = .seconds(10)
            config.connection.keepalive.timeout = .seconds(5)
        }
    }
}

/// The agents' listener could not be opened, or failed.
package struct ListenFailure: Error, CustomStringConvertible {
    package let endpoint: String
    package let cause: String

    package var description: String {
        """
        The listener for agents at \(endpoint) failed: \(cause). Check that the address is this machine's and that no \
        other process uses the port (--agent-listen).
        """
    }
}
