import Domain
import FoundationEssentials
import Identity
import Logging
import NIOCore
import NIOSSL
import X509

/// Mutual TLS between two agents: each proves to be the agent of one host, and none other is let in.
struct PeerCredentials: Sendable {
    private let server: NIOSSLContext
    private let client: NIOSSLContext
    private let verifier: PeerVerifier
    private let expected: HostID
    private let logger: Logger

    init(_ identity: AgentIdentity, expecting expected: HostID, logger: Logger) throws {
        let credential = try identity.credential
        let chain = try credential.chain.map {
            NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: $0, format: .der))
        }
        let key = NIOSSLPrivateKeySource.privateKey(try NIOSSLPrivateKey(bytes: credential.key, format: .der))
        // The callback decides alone, by the authority that both hosts joined under. An empty list keeps the system's
        // authorities out of memory.
        var listening = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
        listening.minimumTLSVersion = .tlsv13
        listening.certificateVerification = .noHostnameVerification
        listening.trustRoots = .certificates([])
        var dialling = TLSConfiguration.makeClientConfiguration()
        dialling.minimumTLSVersion = .tlsv13
        dialling.certificateChain = chain
        dialling.privateKey = key
        dialling.certificateVerification = .noHostnameVerification
        dialling.trustRoots = .certificates([])
        server = try NIOSSLContext(configuration: listening)
        client = try NIOSSLContext(configuration: dialling)
        verifier = PeerVerifier(authority: identity.authority)
        self.expected = expected
        self.logger = logger
    }

    func serverHandler() -> NIOSSLServerHandler {
        NIOSSLServerHandler(context: server, customVerificationCallback: { verify($0, $1) })
    }

    func clientHandler() throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(
            context: client, serverHostname: nil, customVerificationCallback: { verify($0, $1) })
    }

    private func verify(
        _ certificates: [NIOSSLCertificate], _ promise: EventLoopPromise<NIOSSLVerificationResult>
    ) {
        do {
            let certificate = try certificates.first.map { try Certificate(der: $0.toDERBytes()) }
            guard case .host(let id, _) = try verifier.peer(presenting: certificate, at: Date()),
                id == expected.rawValue
            else { throw TunnelFailure("it is not the agent of host \(expected)") }
            promise.succeed(.certificateVerified)
        } catch {
            logger.warning("a connection for a move was refused", metadata: ["error": "\(error)"])
            promise.succeed(.failed)
        }
    }
}
