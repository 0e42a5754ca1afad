package import Domain
import Foundation
import Synchronization

/// Fault points that remember who reached them, and hold whoever reaches the one named `held` until it is opened.
package final class Gate: FaultPoints {
    private let held: String
    private let state = Mutex((isOpen: false, reached: [String]()))
    private let opened = DispatchSemaphore(value: 0)

    package init(holding held: String) { self.held = held }

    package var reached: [String] { state.withLock { $0.reached } }

    package func open() {
        state.withLock { $0.isOpen = true }
        opened.signal()
    }

    package func reach(_ name: String) async {}

    package func reachBlocking(_ name: String) {
        let mustWait = state.withLock { state in
            state.reached.append(name)
            return name == held && !state.isOpen
        }
        if mustWait { opened.wait() }
    }
}

/// Returns once `condition` holds, and throws when it does not within `limit`.
package func waitUntil(
    _ what: String, limit: Duration = .seconds(60), _ condition: @Sendable () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while !(try await condition()) {
        if clock.now > deadline { throw NeverCame(what: what) }
        await Task.yield()
    }
}

package struct NeverCame: Error {
    package let what: String
}
