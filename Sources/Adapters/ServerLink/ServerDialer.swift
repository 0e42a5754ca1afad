import AgentContract
import FoundationEssentials
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Synchronization
import X509

typealias ServerClient = GRPCClient<HTTP2ClientTransport.Posix>

/// One connection to a server, and what became of checking the server's certificate.
struct DialledServer: Sendable {
    let client: ServerClient
    private let check: ServerCheck
    private let connections: Task<Void, Never>

    /// Dials `address` when the first call is made; the caller must `hangUp`.
    init(
        _ address: ServerAddress, presenting credential: TLSCredential, pin: ServerPin,
        wall: @escaping @Sendable () -> Date
    ) throws {
        let check = ServerCheck(pin: pin)
        let transport = try HTTP2ClientTransport.Posix(
            target: address.target,
            transportSecurity: .mTLS(
                certificateChain: credential.chain.map { .bytes($0, format: .der) },
                privateKey: .bytes(credential.key, format: .der)
            ) { tls in
                // The callback decides alone: by the pinned authority and the server's constant name, whatever address
                // was dialled. An empty list keeps the system's authorities out of memory.
                tls.trustRoots = .certificates([])
                tls.serverCertificateVerification = .noHostnameVerification
                tls.customVerificationCallback = { certificates, promise in
                    let presented = certificates.map { (try? $0.toDERBytes()) ?? [] }
                    if check.accepts(presented, at: wall()) {
                        promise.succeed(.certificateVerified(.init(.init(certificates))))
                    } else {
                        promise.succeed(.failed)
                    }
                }
            },
            config: .defaults { config in
                config.http2.authority = CertificateAuthority.serverName
                config.http2.targetWindowSize = 2 * AgentProtocol.imageChunk
            })
        let client = GRPCClient(transport: transport)
        self.client = client
        self.check = check
        connections = Task { try? await client.runConnections() }
    }

    var gateway: WireAgentGateway.Client<HTTP2ClientTransport.Posix> { WireAgentGateway.Client(wrapping: client) }

    /// The server's authority, once the server's certificate was accepted.
    var authority: Certificate? { check.authority }

    /// Why the server's certificate was refused, if it was.
    var refusal: IdentityError? { check.refusal }

    /// Closes the connection. Does not wait for it: a dead network would hold the farewell up.
    func hangUp() {
        client.beginGracefulShutdown()
        connections.cancel()
    }

    /// `error` in words: why the certificate was refused, or the innermost cause of the failure.
    func reason(for error: any Error) -> String {
        if let refusal { return "\(refusal)" }
        var innermost = error
        while let cause = (innermost as? RPCError)?.cause { innermost = cause }
        return (innermost as? RPCError)?.message ?? "\(innermost)"
    }
}

/// The verdict on the server's certificate: reached on an event loop, read by who dialled.
private final class ServerCheck: Sendable {
    private let pin: ServerPin
    private let verdict = Mutex<Result<Certificate, IdentityError>?>(nil)

    init(pin: ServerPin) { self.pin = pin }

    var authority: Certificate? { verdict.withLock { try? $0?.get() } }

    var refusal: IdentityError? {
        verdict.withLock { verdict in
            guard case .failure(let error)? = verdict else { return nil }
            return error
        }
    }

    func accepts(_ presented: [[UInt8]], at now: Date) -> Bool {
        let result = Result { () throws(IdentityError) in try pin.authority(behind: presented, at: now) }
        verdict.withLock { $0 = result }
        if case .success = result { return true }
        return false
    }
}

extension ServerAddress {
    fileprivate var target: any ResolvableTarget {
        if isIPv6 { return .ipv6(address: host, port: port) }
        if isIPv4 { return .ipv4(address: host, port: port) }
        return .dns(host: host, port: port)
    }
}
