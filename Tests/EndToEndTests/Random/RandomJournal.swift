import Foundation
import Synchronization

/// What was done and when, what came of it, and what was found wrong.
final class RandomJournal: Sendable {
    private struct Contents {
        var lines: [String] = []
        var violations: [String] = []
        var counts: [String: Int] = [:]
        var operations: [String] = []
    }

    private let contents = Mutex(Contents())
    private let start = ContinuousClock.now

    func note(_ line: String) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        contents.withLock { $0.lines.append(String(format: "%8.3f ", seconds) + line) }
    }

    func count(_ what: String) { contents.withLock { $0.counts[what, default: 0] += 1 } }

    /// An operation that the server accepted, and so must bring to an end.
    func accepted(_ operation: String) { contents.withLock { $0.operations.append(operation) } }

    func violated(_ what: String) {
        note("VIOLATION: \(what)")
        contents.withLock { $0.violations.append(what) }
    }

    var violations: [String] { contents.withLock { $0.violations } }
    var operations: [String] { contents.withLock { $0.operations } }

    func last(_ count: Int) -> [String] { contents.withLock { $0.lines.suffix(count) } }

    var summary: String {
        contents.withLock { contents in
            contents.counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        }
    }
}
