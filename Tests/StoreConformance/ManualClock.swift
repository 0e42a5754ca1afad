package import Domain
import Synchronization

/// A clock that moves only when the test says so.
package final class ManualClock: TimeSource {
    private let milliseconds: Mutex<Int64>

    package init(milliseconds: Int64 = 1_700_000_000_000) { self.milliseconds = Mutex(milliseconds) }

    package func advance(by duration: Duration) { milliseconds.withLock { $0 += duration.wholeMilliseconds } }

    package func wall() -> Timestamp { Timestamp(milliseconds: milliseconds.withLock { $0 }) }

    package func monotonic() -> Duration { .milliseconds(milliseconds.withLock { $0 }) }

    package func sleep(for duration: Duration) async throws { advance(by: duration) }
}
