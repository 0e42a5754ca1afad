import Crypto
import FoundationEssentials

/// A join token as it is shown once and typed on a host: the secret, and the pin of the server's authority.
///
/// One line without characters that a shell or a URL would change. A checksum tells a damaged token from a wrong one.
package struct JoinTokenText: Hashable, Sendable {
    package let secret: [UInt8]
    /// SHA-256 of the authority's certificate.
    package let authorityFingerprint: [UInt8]

    private static let prefix = "roost1_"
    private static let partLength = 32
    /// What Base64 writes, and what stands for it in a token, which may be part of a URL (RFC 4648, section 5).
    private static let urlSafe: [Character: Character] = ["+": "-", "/": "_"]
    private static let checksumLength = 4

    /// A token with a fresh secret for `authority`.
    package init(for authority: CertificateAuthority) throws {
        secret = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        authorityFingerprint = try authority.fingerprint
    }

    /// The token that `text` spells; white space in it, as of a line that a mail broke, is ignored.
    package init(parsing text: String) throws(IdentityError) {
        let token = text.filter { !$0.isWhitespace }
        guard token.hasPrefix(Self.prefix) else {
            throw Self.damaged("does not begin with '\(Self.prefix)'")
        }
        guard let bytes = Self.decode(token.dropFirst(Self.prefix.count)) else {
            throw Self.damaged("contains characters that no token has, or is cut short")
        }
        guard bytes.count == 2 * Self.partLength + Self.checksumLength else {
            throw Self.damaged("is cut short or too long")
        }
        let content = bytes[..<(2 * Self.partLength)]
        guard bytes.suffix(Self.checksumLength).elementsEqual(Self.checksum(of: content)) else {
            throw Self.damaged("is mistyped somewhere")
        }
        secret = Array(content.prefix(Self.partLength))
        authorityFingerprint = Array(content.suffix(Self.partLength))
    }

    /// The token in full. Whoever reads it can join as the host, until it is used or expires.
    package var text: String {
        let content = secret + authorityFingerprint
        let encoded = Data(content + Self.checksum(of: content)).base64EncodedString().prefix { $0 != "=" }
        return Self.prefix + String(encoded.map { Self.urlSafe[$0] ?? $0 })
    }

    /// What the server stores of the token: lower-case hex of the secret's SHA-256.
    package var secretHash: String { Self.hash(ofSecret: secret) }

    package static func hash(ofSecret secret: [UInt8]) -> String { hex(SHA256.hash(data: secret)) }

    private static func checksum(of content: some DataProtocol) -> ArraySlice<UInt8> {
        Array(SHA256.hash(data: content)).prefix(checksumLength)
    }

    private static func decode(_ text: Substring) -> [UInt8]? {
        guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "=") })
        else { return nil }
        var base64 = String(text.map { character in Self.urlSafe.first { $0.value == character }?.key ?? character })
        base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
        return Data(base64Encoded: base64).map(Array.init)
    }

    private static func damaged(_ how: String) -> IdentityError {
        IdentityError(
            .damagedToken, "The join token \(how).",
            hint: "Copy the whole token, one line, as `roost host add` printed it.")
    }
}
