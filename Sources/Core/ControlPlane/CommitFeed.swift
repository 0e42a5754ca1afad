package import Domain
import Synchronization

/// Tells waiters in this process that something was committed.
///
/// Only a wake-up: whoever is woken reads the database. Nobody loses one, because a waiter takes its ticket before it reads.
package final class CommitFeed: Sendable {
    fileprivate struct State {
        var version: UInt64 = 0
        var jobsVersion: UInt64 = 0
        var nextWaiter: UInt64 = 0
        var waiters: [UInt64: Waiter] = [:]
    }

    fileprivate struct Waiter {
        let topic: Topic
        let continuation: CheckedContinuation<Void, Never>
    }

    /// What a waiter wants to hear of.
    package enum Topic: Sendable {
        /// Any commit.
        case anything
        /// Commits that made work for the job engine.
        case jobs
    }

    /// How much of a topic has happened.
    package struct Ticket: Sendable {
        fileprivate let topic: Topic
        fileprivate let version: UInt64
    }

    private let state = Mutex(State())

    package init() {}

    /// Called by the store after each durable commit.
    package func committed(jobsTouched: Bool) {
        let woken = state.withLock { state in
            state.version += 1
            if jobsTouched { state.jobsVersion += 1 }
            let woken = state.waiters.filter { jobsTouched || $0.value.topic == .anything }
            for id in woken.keys { state.waiters[id] = nil }
            return woken.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }

    package func ticket(_ topic: Topic) -> Ticket {
        state.withLock { Ticket(topic: topic, version: $0.version(of: topic)) }
    }

    /// Returns when something happened on the ticket's topic since it was taken, or when the task is cancelled.
    package func wait(past ticket: Ticket) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.version(of: ticket.topic) > ticket.version { return true }
                    state.waiters[id] = Waiter(topic: ticket.topic, continuation: continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }

    /// The same, and returns after `limit` in any case.
    package func wait(past ticket: Ticket, atMost limit: Duration, _ time: any TimeSource) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait(past: ticket) }
            group.addTask { try? await time.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}

extension CommitFeed.State {
    fileprivate func version(of topic: CommitFeed.Topic) -> UInt64 {
        switch topic {
        case .anything: version
        case .jobs: jobsVersion
        }
    }
}
