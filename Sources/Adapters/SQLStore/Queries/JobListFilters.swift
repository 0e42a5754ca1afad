import ControlPlane
import Domain

/// The filters of the job list: operations and GC jobs are rows of one table, and each resource has its own words.
enum JobListFilters {
    static let purpose = ListFilter { field, value, _ in
        guard let purpose = JobKind.Purpose(rawValue: value) else {
            throw ListFilter.unknownValue(field, value, known: ["operation", "gc"])
        }
        return condition(of: purpose)
    }

    /// The public name within its resource, or the stored one.
    static let kind = ListFilter { field, value, query in
        let candidates =
            query.filters["purpose"].flatMap(JobKind.Purpose.init(rawValue:)).map(kinds) ?? JobKind.known
        let meant = candidates.filter { $0.label == value || $0.rawValue == value }
        guard !meant.isEmpty else { throw ListFilter.unknownValue(field, value, known: candidates.map(\.label)) }
        return isOne(of: meant)
    }

    static let state = ListFilter { field, value, query in
        let purpose = query.filters["purpose"].flatMap(JobKind.Purpose.init(rawValue:))
        let known = words(of: purpose)
        guard let word = StateWord(rawValue: value), known.contains(word) else {
            throw ListFilter.unknownValue(field, value, known: known.map(\.rawValue))
        }
        return word.condition
    }

    /// The states of both resources, in the words of the public API.
    private enum StateWord: String, CaseIterable {
        case waiting, running, done, pending, succeeded, failed, superseded, cancelled
        case needsAttention = "needs-attention"

        var condition: SQLCondition {
            switch self {
            case .waiting, .pending: open("waiting")
            case .running: open("running")
            case .needsAttention: open("parked")
            case .done: SQLCondition("state = 'ended' AND verdict <> 'cancelled'")
            case .succeeded: ended(.succeeded)
            case .failed: ended(.failed)
            case .superseded: ended(.superseded)
            case .cancelled: ended(.cancelled)
            }
        }

        /// Found among the unfinished ones by their own index, however many have ended.
        private func open(_ state: String) -> SQLCondition {
            SQLCondition("ended_at IS NULL AND state = '\(state)'")
        }

        private func ended(_ verdict: JobEnd.Verdict) -> SQLCondition {
            SQLCondition("state = 'ended' AND verdict = ?", [SQLValue(verdict)])
        }
    }

    private static func words(of purpose: JobKind.Purpose?) -> [StateWord] {
        switch purpose {
        case .operation: [.pending, .running, .needsAttention, .succeeded, .failed, .superseded, .cancelled]
        case .gc: [.waiting, .running, .needsAttention, .done, .cancelled]
        case nil: StateWord.allCases
        }
    }

    private static func kinds(of purpose: JobKind.Purpose) -> [JobKind] {
        switch purpose {
        case .operation: JobKind.operations
        case .gc: JobKind.gcJobs
        }
    }

    /// Also those of a kind that only another release knows.
    private static func condition(of purpose: JobKind.Purpose) -> SQLCondition {
        let pattern = SQLValue.text("\(JobKind.operationPrefix)%")
        return switch purpose {
        case .operation: SQLCondition("kind LIKE ?", [pattern])
        case .gc: SQLCondition("kind NOT LIKE ?", [pattern])
        }
    }

    private static func isOne(of kinds: [JobKind]) -> SQLCondition {
        SQLCondition("kind IN (\(SQLText.places(kinds.count)))", kinds.map { SQLValue($0) })
    }
}
