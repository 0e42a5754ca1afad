import Domain
import Synchronization

/// Time that only moves when someone sleeps: a short sleep is over at once and takes the clock with it, a long one waits
/// until the test advances the clock to its end.
final class ManualTime: TimeSource {
    private struct State {
        var now: Duration = .zero
        var plans: [(due: Duration, action: @Sendable () -> Void)] = []
        var sleepers: [Int: (due: Duration, waiter: CheckedContinuation<Void, Never>)] = [:]
        var sleeps = 0
    }

    private static let short: Duration = .seconds(10)
    private let state = Mutex(State())

    func wall() -> Timestamp { Timestamp(milliseconds: monotonic().wholeMilliseconds) }

    func monotonic() -> Duration { state.withLock { $0.now } }

    /// `action` happens when the clock has moved on by `delay`.
    func plan(after delay: Duration, _ action: @escaping @Sendable () -> Void) {
        state.withLock { $0.plans.append(($0.now + delay, action)) }
    }

    func advance(by duration: Duration) {
        let (actions, waiters) = state.withLock { state in
            state.now += duration
            let now = state.now
            let actions = state.plans.filter { $0.due <= now }.sorted { $0.due < $1.due }.map(\.action)
            state.plans.removeAll { $0.due <= now }
            let due = state.sleepers.filter { $0.value.due <= now }
            for key in due.keys { state.sleepers[key] = nil }
            return (actions, due.values.map(\.waiter))
        }
        for action in actions { action() }
        for waiter in waiters { waiter.resume() }
    }

    /// How many long sleeps wait for the test.
    var sleepers: Int { state.withLock { $0.sleepers.count } }

    func sleep(for duration: Duration) async throws {
        try Task.checkCancellation()
        guard duration > Self.short else {
            advance(by: duration)
            await Task.yield()
            return try Task.checkCancellation()
        }
        let number = state.withLock { state in
            state.sleeps += 1
            return state.sleeps
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let isOver = state.withLock { state in
                    state.sleepers[number] = (state.now + duration, waiter)
                    return Task.isCancelled
                }
                if isOver { wake(number) }
            }
        } onCancel: {
            wake(number)
        }
        try Task.checkCancellation()
    }

    private func wake(_ number: Int) { state.withLock { $0.sleepers.removeValue(forKey: number) }?.waiter.resume() }
}
