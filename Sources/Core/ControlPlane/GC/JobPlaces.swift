import Synchronization

/// How many jobs may run at once on this node, and how many do.
final class JobPlaces: Sendable {
    private struct State {
        var free: Int
        /// Whether somebody found fewer than were wanted.
        var isShort = false
    }

    private let state: Mutex<State>

    init(_ count: Int) { state = Mutex(State(free: count)) }

    /// How many are free, of `wanted`.
    func free(atMost wanted: Int) -> Int {
        state.withLock { state in
            if state.free < wanted { state.isShort = true }
            return min(max(state.free, 0), wanted)
        }
    }

    func take(_ count: Int) { state.withLock { $0.free -= count } }

    /// True: somebody has found too few since.
    func giveBack() -> Bool {
        state.withLock { state in
            state.free += 1
            defer { state.isShort = false }
            return state.isShort
        }
    }
}
