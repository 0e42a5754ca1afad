package import Domain
import Synchronization

/// A process's clock: virtual time, which its wall clock may show wrongly.
package struct SimulatedTime: TimeSource {
    let scheduler: Scheduler
    let process: Process
    /// How much the wall clock is ahead of the others.
    let skew: Duration

    /// When every simulation begins.
    private static let beginning = Timestamp(milliseconds: 1_800_000_000_000)

    package func wall() -> Timestamp { Self.beginning.adding(scheduler.now + skew) }

    package func monotonic() -> Duration { scheduler.now }

    package func sleep(for duration: Duration) async throws {
        let sleep = Sleep()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard sleep.begin(continuation) else { return }
                // The sleeper's process may be dead when it fires: then it sleeps on.
                scheduler.after(duration) { [process] in sleep.end(process, throwing: nil) }
            }
        } onCancel: {
            sleep.end(process, throwing: CancellationError())
        }
    }

    private final class Sleep: Sendable {
        private enum State {
            case notBegun
            case asleep(CheckedContinuation<Void, any Error>)
            case over
        }

        private let state = Mutex(State.notBegun)

        /// False if it was cancelled before.
        func begin(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
            let isCancelled = state.withLock { state in
                if case .over = state { return true }
                state = .asleep(continuation)
                return false
            }
            if isCancelled { continuation.resume(throwing: CancellationError()) }
            return !isCancelled
        }

        func end(_ process: Process, throwing error: (any Error)?) {
            let sleeper = state.withLock { state -> CheckedContinuation<Void, any Error>? in
                defer { state = .over }
                if case .asleep(let continuation) = state { return continuation }
                return nil
            }
            guard let sleeper else { return }
            if process.isDead { return process.bury(sleeper) }
            if let error { sleeper.resume(throwing: error) } else { sleeper.resume() }
        }
    }
}

/// Randomness and ids out of the seed.
package struct SimulatedChance: RandomSource, IDSource {
    let scheduler: Scheduler

    package func unit() -> Double { scheduler.unit() }

    package func uuid() -> String {
        let words = (scheduler.word(), scheduler.word())
        let digits = hex(words.0) + hex(words.1)
        let parts = [8, 4, 4, 4, 12]
        var rest = Substring(digits)
        return parts.map { count in
            defer { rest = rest.dropFirst(count) }
            return String(rest.prefix(count))
        }.joined(separator: "-")
    }

    private func hex(_ word: UInt64) -> String {
        let text = String(word, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
