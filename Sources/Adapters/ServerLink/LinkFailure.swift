import Domain
import Identity

/// Why the agent cannot go on: trying again would not help.
package struct LinkFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence that says what went wrong.
    package let message: String
    /// What the reader can do.
    package let hint: String

    init(_ message: String, hint: String) {
        self.message = message
        self.hint = hint
    }

    init(_ error: IdentityError) { self.init(error.message, hint: error.hint) }

    init(_ fault: Fault) { self.init(fault.message, hint: fault.hint ?? "See the server's log.") }

    package var description: String { "\(message) \(hint)" }
}
