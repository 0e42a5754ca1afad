import Synchronization

/// The writes that wait for the next commit, in the order in which they came.
final class CommitQueue: Sendable {
    private struct State {
        var waiting: [PendingWrite] = []
        /// Whether somebody is on the way to take what waits.
        var isServed = false
        var isClosed = false
    }

    enum Admission {
        /// It is taken up without further ado.
        case queued
        /// The same, and the caller has to see to it that the queue is served.
        case queuedUnserved
        case closed
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.waiting.count } }

    func add(_ write: PendingWrite) -> Admission {
        state.withLock { state in
            if state.isClosed { return .closed }
            state.waiting.append(write)
            if state.isServed { return .queued }
            state.isServed = true
            return .queuedUnserved
        }
    }

    /// Takes at most `limit` writes; when there are none, the queue counts as unserved from now on.
    func take(atMost limit: Int) -> [PendingWrite] {
        state.withLock { state in
            let taken = Array(state.waiting.prefix(limit))
            state.waiting.removeFirst(taken.count)
            if taken.isEmpty { state.isServed = false }
            return taken
        }
    }

    /// Admits nothing any more. What waits already is still served.
    func close() { state.withLock { $0.isClosed = true } }
}
