import Synchronization

/// Opens once, and lets everybody through who waits.
final class Latch: Sendable {
    private let state = Mutex(State.shut([]))

    private enum State {
        case shut([CheckedContinuation<Void, Never>])
        case open
    }

    func open() {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard case .shut(let waiters) = state else { return [] }
            state = .open
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the latch is open, or opens it after `limit`. A cancellation does not shorten the wait.
    func wait(limit: Duration) async {
        let timer = Task {
            try await Task.sleep(for: limit)
            open()
        }
        defer { timer.cancel() }
        await withCheckedContinuation { waiter in
            let isOpen = state.withLock { state -> Bool in
                guard case .shut(let waiters) = state else { return true }
                state = .shut(waiters + [waiter])
                return false
            }
            if isOpen { waiter.resume() }
        }
    }
}
