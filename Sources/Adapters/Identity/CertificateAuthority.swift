package import Crypto
package import FoundationEssentials
import Glibc
import SwiftASN1
package import X509

/// The server's own certificate authority: it alone says which key belongs to which host.
///
/// Whoever holds its key can be any host and the server itself.
package struct CertificateAuthority: Sendable {
    /// The name in the server's certificate. Agents check it and the authority, never the address that they dialled.
    package static let serverName = "roost-server"

    package let certificate: Certificate
    private let key: P256.Signing.PrivateKey

    /// How long certificates last.
    enum Lifetime {
        static let authority: TimeInterval = 3652 * day
        static let host: TimeInterval = 90 * day
        /// Certificates begin a little before they are made. Roost's own programs look at their end only.
        static let clockSkew: TimeInterval = 3600
        private static let day: TimeInterval = 86400
    }

    /// The authority kept in `directory` as `ca.key` and `ca.crt`; made there if there is none.
    package static func open(in directory: String, now: Date = Date()) throws -> CertificateAuthority {
        let keyPath = directory + "/ca.key"
        let certificatePath = directory + "/ca.crt"
        let certificateFile = try DurableFile.read(certificatePath)
        guard let keyFile = try DurableFile.read(keyPath) else {
            guard certificateFile == nil else {
                throw IdentityError(
                    .unreadableFile, "\(certificatePath) is there, and its key \(keyPath) is missing.",
                    hint: "Restore the key from a backup; without it no host can join and none can be recognised.")
            }
            let key = P256.Signing.PrivateKey()
            try DurableFile.write(Array(key.pemRepresentation.utf8), to: keyPath, mode: 0o600)
            return try make(with: key, at: certificatePath, now: now)
        }
        let key = try readKey(keyFile, from: keyPath)
        // The key is written first: without a certificate nobody has seen it yet, and making one is safe.
        guard let certificateFile else { return try make(with: key, at: certificatePath, now: now) }
        let certificate = try Certificate(pem: certificateFile, from: certificatePath)
        guard P256.Signing.PublicKey(certificate.publicKey)?.rawRepresentation == key.publicKey.rawRepresentation else {
            throw IdentityError(
                .unreadableFile, "\(certificatePath) does not belong to the key \(keyPath).",
                hint: "Restore both files from the same backup.")
        }
        return CertificateAuthority(certificate: certificate, key: key)
    }

    private static func make(
        with key: P256.Signing.PrivateKey, at path: String, now: Date
    ) throws -> CertificateAuthority {
        let authority = try CertificateAuthority(newFor: key, now: now)
        try DurableFile.write(authority.certificate.pemBytes(), to: path, mode: 0o644)
        return authority
    }

    /// A new authority that lives in memory only.
    package init(newFor key: P256.Signing.PrivateKey = P256.Signing.PrivateKey(), now: Date = Date()) throws {
        self.key = key
        let name = try DistinguishedName { CommonName("Roost CA") }
        certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: now - Lifetime.clockSkew, notValidAfter: now + Lifetime.authority, issuer: name,
            subject: name,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true))
            },
            issuerPrivateKey: .init(key))
    }

    private init(certificate: Certificate, key: P256.Signing.PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    /// SHA-256 of the authority's certificate: what a join token pins.
    package var fingerprint: [UInt8] {
        get throws { Array(SHA256.hash(data: try certificate.derBytes())) }
    }

    /// A fresh key and certificate for this process's listener, valid as long as the authority.
    package func issueServerCredential(now: Date = Date()) throws -> TLSCredential {
        let serverKey = P256.Signing.PrivateKey()
        let leaf = try issue(
            to: .init(serverKey.publicKey), commonName: Self.serverName,
            alternativeName: .dnsName(Self.serverName), usage: .serverAuth, now: now,
            until: certificate.notValidAfter)
        // The authority is sent along, so that a joining agent can compare it with its token's pin.
        return TLSCredential(
            chain: [try leaf.derBytes(), try certificate.derBytes()], key: Array(serverKey.derRepresentation))
    }

    /// A certificate that makes the holder of `publicKey` the agent of `host`.
    package func issueHostCertificate(
        for host: String, publicKey: Certificate.PublicKey, now: Date = Date()
    ) throws -> Certificate {
        try issue(
            to: publicKey, commonName: "Roost host", alternativeName: .uniformResourceIdentifier(hostURI(host)),
            usage: .clientAuth, now: now, until: min(now + Lifetime.host, certificate.notValidAfter))
    }

    private func issue(
        to publicKey: Certificate.PublicKey, commonName: String, alternativeName: GeneralName,
        usage: ExtendedKeyUsage.Usage, now: Date, until: Date
    ) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: now - Lifetime.clockSkew, notValidAfter: until, issuer: certificate.subject,
            subject: try DistinguishedName { CommonName(commonName) },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([usage])
                SubjectAlternativeNames([alternativeName])
            },
            issuerPrivateKey: .init(key))
    }
}

/// A certificate chain, leaf first, and the leaf's private key; all DER.
package struct TLSCredential: Sendable {
    package let chain: [[UInt8]]
    package let key: [UInt8]
}

private let hostURIPrefix = "urn:roost:host:"

func hostURI(_ host: String) -> String { hostURIPrefix + host }

/// The host id that `uri` carries, or nil when it is another kind of URI.
func hostID(inURI uri: String) -> String? {
    uri.hasPrefix(hostURIPrefix) ? String(uri.dropFirst(hostURIPrefix.count)) : nil
}

func readKey(_ pem: [UInt8], from path: String) throws(IdentityError) -> P256.Signing.PrivateKey {
    do {
        return try P256.Signing.PrivateKey(pemRepresentation: String(decoding: pem, as: UTF8.self))
    } catch {
        throw IdentityError(
            .unreadableFile, "\(path) is no P-256 private key in PEM form.", hint: "Restore the file from a backup.")
    }
}

extension Certificate {
    init(pem: [UInt8], from path: String) throws(IdentityError) {
        do {
            try self.init(pemEncoded: String(decoding: pem, as: UTF8.self))
        } catch {
            throw IdentityError(
                .unreadableFile, "\(path) is no certificate in PEM form.", hint: "Restore the file from a backup.")
        }
    }

    package init(der: [UInt8]) throws(IdentityError) {
        do {
            try self.init(derEncoded: der)
        } catch {
            throw IdentityError(
                .unreadableCertificate, "A certificate cannot be read.",
                hint: "Check that the address is that of a Roost server's agent listener.")
        }
    }

    package func derBytes() throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(self)
        return serializer.serializedBytes
    }

    func pemBytes() throws -> [UInt8] { Array((try serializeAsPEM().pemString + "\n").utf8) }
}
