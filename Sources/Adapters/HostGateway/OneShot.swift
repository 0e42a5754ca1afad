import Synchronization

/// A value that is set once and may be waited for, before or after.
final class OneShot<Value: Sendable>: Sendable {
    private let state = Mutex(State.waiting([]))

    private enum State {
        case waiting([CheckedContinuation<Value, Never>])
        case set(Value)
    }

    /// Sets the value; a later one is ignored.
    func set(_ value: Value) {
        let waiters = state.withLock { state -> [CheckedContinuation<Value, Never>] in
            guard case .waiting(let waiters) = state else { return [] }
            state = .set(value)
            return waiters
        }
        for waiter in waiters { waiter.resume(returning: value) }
    }

    func value() async -> Value {
        await withCheckedContinuation { waiter in
            let value = state.withLock { state -> Value? in
                switch state {
                case .set(let value): return value
                case .waiting(let waiters):
                    state = .waiting(waiters + [waiter])
                    return nil
                }
            }
            if let value { waiter.resume(returning: value) }
        }
    }
}
