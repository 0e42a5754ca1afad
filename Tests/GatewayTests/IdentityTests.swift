import Domain
import Foundation
import Identity
import Testing
import X509

@Suite final class IdentityTests {
    private let now = Date()
    private let scratch: String

    init() throws { scratch = try temporaryDirectory() }

    deinit { try? FileManager.default.removeItem(atPath: scratch) }

    private func authority() throws -> CertificateAuthority { try CertificateAuthority(now: now) }

    private func key() throws -> NewcomerIdentity {
        try AgentIdentityFiles(directory: try temporaryDirectory(in: scratch)).newcomer()
    }

    private func reason(_ body: () throws -> Void) -> IdentityError.Reason? {
        do {
            try body()
            return nil
        } catch {
            return (error as? IdentityError)?.reason
        }
    }

    @Test func `a host certificate names its host`() throws {
        let authority = try authority()
        let host = freshHost().rawValue
        let certificate = try authority.issueHostCertificate(
            for: host, publicKey: .init(try key().key.publicKey), now: now)
        let peer = try PeerVerifier(authority: authority.certificate).peer(presenting: certificate, at: now)
        guard case .host(host, let publicKey) = peer else { return #expect(Bool(false), "\(peer)") }
        #expect(publicKey == certificate.publicKey)
    }

    @Test func `an expired certificate is refused`() throws {
        let authority = try authority()
        let certificate = try authority.issueHostCertificate(
            for: freshHost().rawValue, publicKey: .init(try key().key.publicKey), now: now)
        let verifier = PeerVerifier(authority: authority.certificate)
        #expect(reason { _ = try verifier.peer(presenting: certificate, at: now + 91 * 86400) } == .expired)
    }

    @Test func `hosts and servers whose clocks are days apart know each other`() throws {
        let days: TimeInterval = 3 * 86400
        let authority = try authority()
        let verifier = PeerVerifier(authority: authority.certificate)
        for (issued, seen) in [(now + days, now), (now, now - days)] {
            let host = freshHost().rawValue
            let certificate = try authority.issueHostCertificate(
                for: host, publicKey: .init(try key().key.publicKey), now: issued)
            guard case .host(host, _) = try verifier.peer(presenting: certificate, at: seen) else {
                return #expect(Bool(false), "\(host) is not known")
            }
            let chain = try authority.issueServerCredential(now: issued).chain
            #expect(
                try ServerPin.authority(authority.certificate).authority(behind: chain, at: seen)
                    == authority.certificate)
        }
    }

    @Test func `a certificate of another authority is refused`() throws {
        let certificate = try authority().issueHostCertificate(
            for: freshHost().rawValue, publicKey: .init(try key().key.publicKey), now: now)
        let verifier = PeerVerifier(authority: try authority().certificate)
        #expect(reason { _ = try verifier.peer(presenting: certificate, at: now) } == .wrongAuthority)
    }

    @Test func `a certificate that is not meant for a host is refused`() throws {
        let authority = try authority()
        let server = try Certificate(derEncoded: try authority.issueServerCredential(now: now).chain[0])
        let verifier = PeerVerifier(authority: authority.certificate)
        #expect(reason { _ = try verifier.peer(presenting: server, at: now) } == .wrongUsage)
        #expect(reason { _ = try verifier.peer(presenting: authority.certificate, at: now) } == .wrongUsage)
        #expect(reason { _ = try verifier.peer(presenting: nil, at: now) } == .noCertificate)
    }

    @Test func `a self-signed certificate makes a newcomer and never a host`() throws {
        let authority = try authority()
        let verifier = PeerVerifier(authority: authority.certificate)
        let newcomer = try key()
        let honest = try Certificate(derEncoded: try newcomer.credential(now: now).chain[0])
        guard case .newcomer = try verifier.peer(presenting: honest, at: now) else {
            return #expect(Bool(false), "not a newcomer")
        }
        let name = try DistinguishedName { CommonName("Roost CA") }
        let forged = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(newcomer.key.publicKey),
            notValidBefore: now - 60, notValidAfter: now + 60, issuer: name, subject: name,
            extensions: try Certificate.Extensions {
                SubjectAlternativeNames([.uniformResourceIdentifier("urn:roost:host:\(freshHost())")])
            },
            issuerPrivateKey: .init(newcomer.key))
        #expect(reason { _ = try verifier.peer(presenting: forged, at: now) } == .wrongAuthority)
    }

    @Test func `the server is known by its authority and its name`() throws {
        let authority = try authority()
        let chain = try authority.issueServerCredential(now: now).chain
        let pin = ServerPin.authority(authority.certificate)
        #expect(try pin.authority(behind: chain, at: now) == authority.certificate)
        #expect(try pin.authority(behind: [chain[0]], at: now) == authority.certificate)
        #expect(
            try ServerPin.fingerprint(authority.fingerprint).authority(behind: chain, at: now)
                == authority.certificate)
        let other = try self.authority()
        #expect(
            reason { _ = try ServerPin.authority(other.certificate).authority(behind: chain, at: now) }
                == .wrongAuthority)
        #expect(
            reason { _ = try ServerPin.fingerprint(other.fingerprint).authority(behind: chain, at: now) }
                == .wrongAuthority)
        // The pinned authority beside somebody else's leaf: knowing a public certificate proves nothing.
        let mixed = [try other.issueServerCredential(now: now).chain[0], chain[1]]
        #expect(
            reason { _ = try ServerPin.fingerprint(authority.fingerprint).authority(behind: mixed, at: now) }
                == .wrongAuthority)
        // A host's certificate cannot play the server.
        let host = try authority.issueHostCertificate(
            for: freshHost().rawValue, publicKey: .init(try key().key.publicKey), now: now)
        #expect(reason { _ = try pin.authority(behind: [try host.derBytes()], at: now) } == .wrongUsage)
        #expect(reason { _ = try pin.authority(behind: [], at: now) } == .wrongAuthority)
    }

    @Test func `the authority is made once and kept with a private key file`() throws {
        let directory = try temporaryDirectory(in: scratch)
        let first = try CertificateAuthority.open(in: directory)
        #expect(try CertificateAuthority.open(in: directory).certificate == first.certificate)
        let mode = try FileManager.default.attributesOfItem(atPath: directory + "/ca.key")[.posixPermissions]
        #expect(mode as? Int == 0o600)
        // A crash between the two files: the key stays, the certificate is made again.
        try FileManager.default.removeItem(atPath: directory + "/ca.crt")
        #expect(try CertificateAuthority.open(in: directory).certificate.publicKey == first.certificate.publicKey)
        try FileManager.default.removeItem(atPath: directory + "/ca.key")
        #expect(reason { _ = try CertificateAuthority.open(in: directory) } == .unreadableFile)
    }

    @Test func `a join token survives its text`() throws {
        let token = try JoinTokenText(for: try authority())
        #expect(try JoinTokenText(parsing: "  \(token.text)\n") == token)
        #expect(token.text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") })
        #expect(token.secretHash.count == 64)
    }

    @Test func `a damaged join token says so`() throws {
        let text = try JoinTokenText(for: try authority()).text
        var swapped = Array(text)
        swapped[20] = swapped[20] == "A" ? "B" : "A"
        let damaged = [
            "", "roost1_", String(text.dropLast(5)), text + "AAAA", String(swapped),
            text.replacing("roost1_", with: ""),
            "roost1_" + String(repeating: "!", count: 91), text + " x",
        ]
        for text in damaged {
            #expect(reason { _ = try JoinTokenText(parsing: text) } == .damagedToken, "\(text)")
        }
    }

    @Test func `an agent's identity is there only when it is whole`() throws {
        let directory = try temporaryDirectory(in: scratch)
        let files = AgentIdentityFiles(directory: directory)
        #expect(try files.load() == nil)
        let authority = try authority()
        let newcomer = try files.newcomer()
        #expect(try files.newcomer().key.rawRepresentation == newcomer.key.rawRepresentation)
        #expect(try files.load() == nil)
        let host = freshHost().rawValue
        let identity = try AgentIdentity(
            key: newcomer.key,
            certificate: try authority.issueHostCertificate(for: host, publicKey: .init(newcomer.key.publicKey)),
            authority: authority.certificate)
        try files.save(identity)
        let loaded = try #require(try files.load())
        #expect(loaded.host == host)
        #expect(loaded.certificate == identity.certificate)
        #expect(loaded.renewalTime > now + 59 * 86400 && loaded.renewalTime < now + 61 * 86400)
        try FileManager.default.removeItem(atPath: directory + "/ca.crt")
        #expect(reason { _ = try files.load() } == .unreadableFile)
    }
}
