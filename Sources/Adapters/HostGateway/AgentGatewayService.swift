import AgentContract
import ControlPlane
import Domain
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import X509

/// The calls that agents make. Each one checks for itself who makes it.
struct AgentGatewayService: WireAgentGateway.SimpleServiceProtocol {
    let authority: CertificateAuthority
    let observer: any HostSessionObserver
    let images: any ImageFiles
    let registry: SessionRegistry
    let settings: GatewaySettings
    let logger: Logger

    func join(request: WireJoinRequest, context: ServerContext) async throws -> WireJoinReply {
        try await answering {
            guard case .newcomer(let publicKey) = try peer(of: context), let fingerprint = publicKey.fingerprint else {
                throw Fault(
                    .forbidden, .forbidden, "This host has joined already.",
                    hint: "Start roost-agent without --join.")
            }
            let host = try await observer.redeemJoinToken(
                secretHash: JoinTokenText.hash(ofSecret: Array(request.secret)), publicKey: fingerprint)
            let certificate = try authority.issueHostCertificate(for: host.rawValue, publicKey: publicKey)
            logger.info("host joined", metadata: ["host": "\(host)", "peer": "\(context.remotePeer)"])
            return try WireJoinReply.with { $0.certificate = Data(try certificate.derBytes()) }
        }
    }

    func renew(request: WireRenewRequest, context: ServerContext) async throws -> WireRenewReply {
        try await answering {
            let (host, publicKey) = try await admittedHost(of: context)
            let certificate = try authority.issueHostCertificate(for: host.rawValue, publicKey: publicKey)
            logger.info("host certificate renewed", metadata: ["host": "\(host)"])
            return try WireRenewReply.with { $0.certificate = Data(try certificate.derBytes()) }
        }
    }

    func session(
        request: RPCAsyncSequence<WireAgentMessage, any Error>, response: RPCWriter<WireServerMessage>,
        context: ServerContext
    ) async throws {
        let host: HostID
        do {
            host = try await answering { try await admittedHost(of: context).host }
        } catch {
            // The stream's own words, so that the agent reads every refusal of a session in one place.
            guard let fault = (error as? RPCError).flatMap(Fault.init(sentWith:)) else { throw error }
            return try await response.write(.with { $0.refused = WireFault(fault) })
        }
        let session = Session(host: host, settings: settings, point: { [registry] in registry.recordPoint })
        var logger = logger
        logger[metadataKey: "host"] = "\(host)"
        logger[metadataKey: "peer"] = "\(context.remotePeer)"
        let life = SessionLife(registry: registry, observer: observer, settings: settings, logger: logger)
        // Not a child of this call: what was granted is told closed though the call is cancelled.
        let living = Task { await life.run(session) }
        await carry(session, request, response)
        await living.value
    }

    /// Moves the session's messages until it ends.
    private func carry(
        _ session: Session, _ request: RPCAsyncSequence<WireAgentMessage, any Error>,
        _ response: RPCWriter<WireServerMessage>
    ) async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                group.addTask { await read(request, into: session) }
                group.addTask { await write(session, to: response) }
                group.addTask { await session.keepAlive() }
                group.addTask {
                    guard (try? await Task.sleep(for: settings.helloLimit)) != nil else { return }
                    if session.instance.isEmpty { session.end("it did not say hello") }
                }
                _ = await session.awaitEnd()
                group.cancelAll()
            }
        } onCancel: {
            session.end("the connection was closed")
        }
    }

    private func read(_ request: RPCAsyncSequence<WireAgentMessage, any Error>, into session: Session) async {
        do {
            for try await message in request { try session.receive(message) }
            session.end("its agent ended the session")
        } catch let error as UnreadableMessage {
            logger.warning(
                "the agent's message cannot be understood",
                metadata: ["host": "\(session.host)", "reason": "\(error.what)"])
            session.refuse(error.fault)
        } catch {
            session.end("the connection broke")
        }
    }

    private func write(_ session: Session, to response: RPCWriter<WireServerMessage>) async {
        while let message = await session.nextMessage() {
            do {
                try await response.write(message)
            } catch {
                return session.end("the connection broke")
            }
        }
    }

    func fetchImage(
        request: WireFetchImageRequest, response: RPCWriter<WireImageChunk>, context: ServerContext
    ) async throws {
        try await answering {
            _ = try await admittedHost(of: context)
            let image: ImageID = try readID(request.image, "the image")
            let bytes = try await images.read(try ImageFile.Part(reading: request.part), of: image)
            try await send(bytes, to: response)
        }
    }

    /// Sends `bytes` in pieces of the chunk's size; waits for the agent to take each.
    private func send(
        _ bytes: some AsyncSequence<[UInt8], any Error>, to response: RPCWriter<WireImageChunk>
    ) async throws {
        for try await piece in bytes {
            var rest = piece[...]
            while !rest.isEmpty {
                let chunk = rest.prefix(AgentProtocol.imageChunk)
                try await response.write(.with { $0.data = Data(chunk) })
                rest = rest.dropFirst(chunk.count)
            }
        }
    }

    // MARK: Who calls

    private func peer(of context: ServerContext) throws -> Peer {
        let transport = context.transportSpecific as? HTTP2ServerTransport.Posix.Context
        return try PeerVerifier(authority: authority.certificate)
            .peer(presenting: transport?.peerCertificate, at: Date())
    }

    private func admittedHost(
        of context: ServerContext
    ) async throws -> (host: HostID, publicKey: Certificate.PublicKey) {
        guard case .host(let id, let publicKey) = try peer(of: context), let host = HostID(id) else {
            throw Fault(
                .unauthenticated, .unauthenticated, "The caller is not a host's agent.",
                hint: "Let the host join with a join token.")
        }
        guard try await observer.isAdmitted(host) else {
            throw Fault(
                .forbidden, .hostDeleted, "This host was deleted from the server.",
                hint: "Stop roost-agent, or add the host again and join it with the new token.")
        }
        return (host, publicKey)
    }

    /// Runs a call and turns its error into one for the agent's eyes.
    private func answering<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let fault as Fault {
            throw RPCError(fault)
        } catch let error as IdentityError {
            throw RPCError(Fault(.unauthenticated, .unauthenticated, error.message, hint: error.hint))
        } catch let error as UnreadableMessage {
            throw RPCError(error.fault)
        } catch let error as RPCError {
            throw error
        } catch {
            if !(error is CancellationError) {
                logger.error("an agent's call failed", metadata: ["error": "\(error)"])
            }
            throw RPCError(
                Fault(.unavailable, .storeUnavailable, "The server cannot do this now.", hint: "See the server's log."))
        }
    }
}
