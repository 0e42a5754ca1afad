import Crypto
package import FoundationEssentials
package import X509

/// Who is at the other end of an agent's connection. TLS has proven that it holds the key.
package enum Peer: Sendable {
    /// The agent of the host with this id, by a certificate of our authority.
    case host(id: String, publicKey: Certificate.PublicKey)
    /// Somebody with a key and a self-signed certificate: may join, and nothing else.
    case newcomer(publicKey: Certificate.PublicKey)
}

/// Decides, on the server, what a client certificate is worth.
package struct PeerVerifier: Sendable {
    private let authority: Certificate

    package init(authority: Certificate) { self.authority = authority }

    /// Who presents `certificate` at `now`; throws for whom the server has nothing to do with.
    package func peer(presenting certificate: Certificate?, at now: Date) throws(IdentityError) -> Peer {
        guard let certificate else {
            throw IdentityError(
                .noCertificate, "The agent presented no certificate.", hint: "Let the host join with a join token.")
        }
        if isSelfSigned(certificate) { return .newcomer(publicKey: certificate.publicKey) }
        guard isSigned(certificate, by: authority) else {
            throw IdentityError(
                .wrongAuthority, "The agent's certificate was not issued by this server's authority.",
                hint: "The host joined another server, or this server's ca.key was replaced: join the host again.")
        }
        try checkExpiry(of: certificate, whose: "agent", at: now)
        try checkUsage(of: certificate, is: .clientAuth, whose: "agent")
        guard let id = certificate.hostID else {
            throw IdentityError(
                .noHostID, "The agent's certificate names no host.", hint: "Join the host again with a new join token.")
        }
        return .host(id: id, publicKey: certificate.publicKey)
    }

    /// A P-256 certificate that its own key signed and that names no host.
    private func isSelfSigned(_ certificate: Certificate) -> Bool {
        guard P256.Signing.PublicKey(certificate.publicKey) != nil, certificate.hostID == nil else { return false }
        return certificate.issuer == certificate.subject
            && certificate.publicKey != authority.publicKey
            && certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
    }
}

/// What an agent knows of the server's authority.
package enum ServerPin: Sendable {
    /// From a join token: SHA-256 of the authority's certificate, which the server sends along.
    case fingerprint([UInt8])
    /// Kept since the agent joined.
    case authority(Certificate)

    /// The authority that vouches for the server with the certificates `presented` (DER, leaf first) at `now`; throws
    /// for any other server. Nothing secret may be sent before this.
    package func authority(
        behind presented: [[UInt8]], at now: Date
    ) throws(IdentityError) -> Certificate {
        guard let first = presented.first else { throw wrongServer }
        let authority: Certificate
        switch self {
        case .authority(let known): authority = known
        case .fingerprint(let pin):
            let found = presented.dropFirst().first { Array(SHA256.hash(data: $0)) == pin }
            guard let found else { throw wrongServer }
            authority = try Certificate(der: found)
        }
        let leaf = try Certificate(der: first)
        guard isSigned(leaf, by: authority) else { throw wrongServer }
        try checkExpiry(of: authority, whose: "server authority", at: now)
        try checkExpiry(of: leaf, whose: "server", at: now)
        try checkUsage(of: leaf, is: .serverAuth, whose: "server")
        let names = (try? leaf.extensions.subjectAlternativeNames) ?? SubjectAlternativeNames()
        guard names.contains(.dnsName(CertificateAuthority.serverName)) else {
            throw IdentityError(
                .wrongServerName, "The certificate at that address is not a Roost server's.",
                hint: "Check the address: it must be that of the server's agent listener.")
        }
        return authority
    }

    private var wrongServer: IdentityError {
        switch self {
        case .fingerprint:
            IdentityError(
                .wrongAuthority, "The server at that address is not the one that made the join token.",
                hint: "Check the address, or get a token from that server with `roost host add`.")
        case .authority:
            IdentityError(
                .wrongAuthority, "The server at that address is not the one that this host joined.",
                hint: "Check the address; if the server was set up anew, remove the agent's agent.crt and join again.")
        }
    }
}

private func isSigned(_ certificate: Certificate, by authority: Certificate) -> Bool {
    certificate.issuer == authority.subject
        && authority.publicKey.isValidSignature(certificate.signature, for: certificate)
}

/// Only the end of its life counts. Its beginning is the clock of whichever node issued it, and says nothing of who holds
/// the key: nodes and hosts whose clocks differ know each other all the same.
private func checkExpiry(of certificate: Certificate, whose: String, at now: Date) throws(IdentityError) {
    guard now > certificate.notValidAfter else { return }
    throw IdentityError(
        .expired, "The \(whose)'s certificate has expired.",
        hint: "Check the clocks; an agent whose certificate expired needs a new join token.")
}

private func checkUsage(
    of certificate: Certificate, is usage: ExtendedKeyUsage.Usage, whose: String
) throws(IdentityError) {
    let usages = (try? certificate.extensions.extendedKeyUsage) ?? ExtendedKeyUsage()
    let constraints = try? certificate.extensions.basicConstraints
    guard usages.contains(usage), constraints == .notCertificateAuthority else {
        throw IdentityError(
            .wrongUsage, "The \(whose)'s certificate is meant for another use.",
            hint: "Join the host again with a new join token.")
    }
}

extension Certificate {
    /// The id of the one host that this certificate names, whoever signed it.
    package var hostID: String? {
        guard let names = try? extensions.subjectAlternativeNames else { return nil }
        let ids = names.compactMap { name -> String? in
            guard case .uniformResourceIdentifier(let uri) = name else { return nil }
            return Identity.hostID(inURI: uri)
        }
        return ids.count == 1 ? ids[0] : nil
    }
}

extension Certificate.PublicKey {
    /// Lower-case hex of the SHA-256 of the key in DER form (SubjectPublicKeyInfo); nil for a key that is not P-256.
    package var fingerprint: String? {
        guard let key = P256.Signing.PublicKey(self) else { return nil }
        return hex(SHA256.hash(data: key.derRepresentation))
    }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
