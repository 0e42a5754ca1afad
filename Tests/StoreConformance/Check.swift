package import ControlPlane
import Domain
import Testing

/// One thing that every `Database` must do, checked on a fresh and empty one.
///
/// A check reports through Swift Testing's expectations, so it is run inside a test. Each is a function, not a closure:
/// within a closure, Swift 6.3 takes a closure in `#expect(…)` for the one that follows it, and runs the wrong one.
package struct Check: Sendable, CustomTestStringConvertible {
    /// A sentence.
    package let name: String
    package let run: @Sendable (_ store: any Database, _ clock: ManualClock) async throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (_ store: any Database, _ clock: ManualClock) async throws -> Void)
    {
        self.name = name
        self.run = run
    }

    package var testDescription: String { name }

    /// The whole contract.
    package static let all: [Check] =
        transactionChecks + vmChecks + hostChecks + jobChecks + leaseChecks + listChecks + recordChecks + nodeChecks
        + recoveryChecks
}
