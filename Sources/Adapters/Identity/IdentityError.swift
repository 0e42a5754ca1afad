/// Why a key, a certificate or a join token cannot be used.
package struct IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
    package let reason: Reason
    /// One sentence that says what went wrong.
    package let message: String
    /// What the reader can do.
    package let hint: String

    package enum Reason: String, CaseIterable, Sendable {
        case damagedToken
        case unreadableFile
        case unwritableFile
        case unreadableCertificate
        case noCertificate
        case wrongAuthority
        case expired
        case wrongUsage
        case noHostID
        case wrongServerName
        case notSelfSigned
    }

    package init(_ reason: Reason, _ message: String, hint: String) {
        self.reason = reason
        self.message = message
        self.hint = hint
    }

    package var description: String { "\(message) \(hint)" }
}
