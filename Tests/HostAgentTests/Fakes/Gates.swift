import Domain
import Synchronization

/// Fault points at which a test can hold the code.
final class Gates: FaultPoints {
    private struct State {
        var closed: Set<String> = []
        var held: [String: [CheckedContinuation<Void, Never>]] = [:]
    }

    private let state = Mutex(State())

    func close(_ name: String) { state.withLock { _ = $0.closed.insert(name) } }

    func open(_ name: String) {
        let held = state.withLock { state in
            state.closed.remove(name)
            return state.held.removeValue(forKey: name) ?? []
        }
        for waiter in held { waiter.resume() }
    }

    /// How many are held at `name`.
    func held(_ name: String) -> Int { state.withLock { $0.held[name]?.count ?? 0 } }

    func reach(_ name: String) async {
        await withCheckedContinuation { waiter in
            let isOpen = state.withLock { state in
                guard state.closed.contains(name) else { return true }
                state.held[name, default: []].append(waiter)
                return false
            }
            if isOpen { waiter.resume() }
        }
    }

    func reachBlocking(_ name: String) {}
}

/// Waits for `condition`, for a while that is long on any machine.
func eventually(_ condition: @Sendable () -> Bool) async -> Bool {
    let limit = ContinuousClock.now + .seconds(60)
    while !condition() {
        guard ContinuousClock.now < limit else { return false }
        await Task.yield()
    }
    return true
}
