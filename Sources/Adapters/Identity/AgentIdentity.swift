package import Crypto
package import FoundationEssentials
import Glibc
package import X509

/// What makes an agent the agent of its host: its key, the certificate for it, and the authority it trusts.
package struct AgentIdentity: Sendable {
    package let host: String
    package let key: P256.Signing.PrivateKey
    package let certificate: Certificate
    package let authority: Certificate

    package init(
        key: P256.Signing.PrivateKey, certificate: Certificate, authority: Certificate
    ) throws(IdentityError) {
        guard let host = certificate.hostID,
            P256.Signing.PublicKey(certificate.publicKey)?.rawRepresentation == key.publicKey.rawRepresentation
        else {
            throw IdentityError(
                .noHostID, "The agent's certificate does not fit its key or names no host.",
                hint: "Join the host again with a new join token.")
        }
        self.host = host
        self.key = key
        self.certificate = certificate
        self.authority = authority
    }

    package var credential: TLSCredential {
        get throws { TLSCredential(chain: [try certificate.derBytes()], key: Array(key.derRepresentation)) }
    }

    /// When two thirds of the certificate's life are over.
    package var renewalTime: Date {
        let life = certificate.notValidAfter.timeIntervalSince(certificate.notValidBefore)
        return certificate.notValidBefore + life * 2 / 3
    }

    package func isExpired(at now: Date) -> Bool { now > certificate.notValidAfter }
}

/// A key that has no certificate of the server's yet.
package struct NewcomerIdentity: Sendable {
    package let key: P256.Signing.PrivateKey

    /// The key with a certificate that it signed itself: proves the key to the server, and nothing else.
    package func credential(now: Date = Date()) throws -> TLSCredential {
        let name = try DistinguishedName { CommonName("Roost newcomer") }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: now - 3600, notValidAfter: now + 3600, issuer: name, subject: name,
            extensions: try Certificate.Extensions { Critical(BasicConstraints.notCertificateAuthority) },
            issuerPrivateKey: .init(key))
        return TLSCredential(chain: [try certificate.derBytes()], key: Array(key.derRepresentation))
    }
}

/// The agent's identity in its data directory: `agent.key`, `agent.crt` and `ca.crt`.
///
/// The certificate is written last: where it is, the identity is whole.
package struct AgentIdentityFiles: Sendable {
    private let directory: String

    package init(directory: String) { self.directory = directory }

    /// The identity, or nil if the agent has not joined.
    package func load() throws -> AgentIdentity? {
        guard let certificateFile = try DurableFile.read(certificatePath) else { return nil }
        guard let keyFile = try DurableFile.read(keyPath), let authorityFile = try DurableFile.read(authorityPath)
        else {
            throw IdentityError(
                .unreadableFile, "\(certificatePath) is there, and \(keyPath) or \(authorityPath) is missing.",
                hint: "Remove the certificate and join the host again with a new join token.")
        }
        return try AgentIdentity(
            key: try readKey(keyFile, from: keyPath),
            certificate: try Certificate(pem: certificateFile, from: certificatePath),
            authority: try Certificate(pem: authorityFile, from: authorityPath))
    }

    /// The key to join with: the one that an interrupted attempt left, so that its token is accepted again, or a new
    /// one, which is on disk on return.
    package func newcomer() throws -> NewcomerIdentity {
        if let keyFile = try DurableFile.read(keyPath) {
            return NewcomerIdentity(key: try readKey(keyFile, from: keyPath))
        }
        let key = P256.Signing.PrivateKey()
        try DurableFile.write(Array(key.pemRepresentation.utf8), to: keyPath, mode: 0o600)
        return NewcomerIdentity(key: key)
    }

    /// Keeps `identity`, whose key is on disk already; durable on return.
    package func save(_ identity: AgentIdentity) throws {
        try DurableFile.write(identity.authority.pemBytes(), to: authorityPath, mode: 0o644)
        try DurableFile.write(identity.certificate.pemBytes(), to: certificatePath, mode: 0o644)
    }

    private var keyPath: String { directory + "/agent.key" }
    private var certificatePath: String { directory + "/agent.crt" }
    private var authorityPath: String { directory + "/ca.crt" }
}
