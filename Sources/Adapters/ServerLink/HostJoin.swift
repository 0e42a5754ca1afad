import AgentContract
import Domain
import FoundationEssentials
import GRPCCore
import Identity
import Logging
import X509

/// Turns a join token into the host's certificate.
struct HostJoin: Sendable {
    let servers: [ServerAddress]
    let files: AgentIdentityFiles
    let settings: LinkSettings
    let logger: Logger

    /// The agent's identity: the one on disk, or, with `token`, a new one, which is on disk on return.
    ///
    /// Waits for a server that cannot be reached; throws `LinkFailure` when waiting would not help.
    func identity(joiningWith token: JoinTokenText?) async throws -> AgentIdentity {
        do {
            if let identity = try files.load() {
                if !identity.isExpired(at: settings.wall()) { return identity }
                guard token != nil else {
                    throw LinkFailure(
                        "The agent's certificate has expired.",
                        hint: "Get a new join token for this host and start roost-agent with --join.")
                }
            }
            guard let token else {
                throw LinkFailure(
                    "This machine has not joined a server.",
                    hint: "Run the line that `roost host add` prints, with --join.")
            }
            return try await join(with: token, as: try files.newcomer())
        } catch let error as IdentityError {
            throw LinkFailure(error)
        }
    }

    private func join(with token: JoinTokenText, as newcomer: NewcomerIdentity) async throws -> AgentIdentity {
        var attempts = 0
        while true {
            let server = servers[attempts % servers.count]
            do {
                return try await attempt(token, newcomer, server)
            } catch let failure as LinkFailure {
                throw failure
            } catch let error as IdentityError {
                throw error
            } catch {
                try Task.checkCancellation()
                attempts += 1
                logger.warning(
                    "joining failed, trying again", metadata: ["server": "\(server)", "reason": "\(error)"])
            }
            try await Task.sleep(
                for: settings.backoff.delay(attempts: attempts, unit: Double.random(in: 0..<1)))
        }
    }

    private func attempt(
        _ token: JoinTokenText, _ newcomer: NewcomerIdentity, _ server: ServerAddress
    ) async throws -> AgentIdentity {
        let now = settings.wall()
        let dialled = try DialledServer(
            server, presenting: try newcomer.credential(now: now), pin: .fingerprint(token.authorityFingerprint),
            wall: settings.wall)
        defer { dialled.hangUp() }
        let reply: WireJoinReply
        do {
            var options = CallOptions.defaults
            options.timeout = settings.welcomeLimit
            reply = try await dialled.gateway.join(.with { $0.secret = Data(token.secret) }, options: options)
        } catch {
            if let refusal = dialled.refusal { throw LinkFailure(refusal) }
            if let fault = (error as? RPCError).flatMap(Fault.init(sentWith:)), fault.kind != .unavailable {
                throw LinkFailure(fault)
            }
            throw DialFailure(reason: dialled.reason(for: error))
        }
        guard let authority = dialled.authority else { throw DialFailure(reason: "the server was not recognised") }
        let certificate = try Certificate(der: Array(reply.certificate))
        _ = try PeerVerifier(authority: authority).peer(presenting: certificate, at: now)
        let identity = try AgentIdentity(key: newcomer.key, certificate: certificate, authority: authority)
        try files.save(identity)
        logger.info("joined", metadata: ["server": "\(server)", "host": "\(identity.host)"])
        return identity
    }
}

/// An attempt that may go better the next time.
struct DialFailure: Error, CustomStringConvertible {
    let reason: String
    var description: String { reason }
}
