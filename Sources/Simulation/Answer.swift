import Domain
import Synchronization

/// What somebody waits for who may be dead when it comes.
final class Answer<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var isOver = false
        var waiter: CheckedContinuation<Void, any Error>?
    }

    private let process: Process
    private let state = Mutex(State())

    init(_ process: Process) { self.process = process }

    func give(_ value: Value) { end(value) }

    /// It does not come any more.
    func giveUp() { end(nil) }

    private func end(_ value: Value?) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            guard !state.isOver else { return nil }
            state.isOver = true
            state.value = value
            defer { state.waiter = nil }
            return state.waiter
        }
        guard let waiter else { return }
        if process.isDead { process.bury(waiter) } else { waiter.resume() }
    }

    /// nil if it does not come within `limit`, or not at all.
    func wait(atMost limit: Duration, _ time: SimulatedTime) async -> Value? {
        time.scheduler.after(limit) { self.giveUp() }
        await withTaskCancellationHandler {
            try? await withCheckedThrowingContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.isOver { state.waiter = continuation }
                    return state.isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            giveUp()
        }
        return state.withLock { $0.value }
    }
}
