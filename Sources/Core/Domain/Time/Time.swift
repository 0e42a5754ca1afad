/// A point in wall-clock time, for people to read. Never compared across machines.
package struct Timestamp: Hashable, Sendable, Codable, Comparable {
    package let milliseconds: Int64  // since 1970-01-01T00:00:00Z

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Later than anything that happens: the end of the year 9999.
    package static let never = Timestamp(milliseconds: 253_402_300_799_000)

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    package func adding(_ duration: Duration) -> Timestamp {
        Timestamp(milliseconds: milliseconds + duration.wholeMilliseconds)
    }
}

extension Duration {
    package var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}

/// Time as Core sees it: passed in, so that the simulator can own it.
package protocol TimeSource: Sendable {
    /// The wall clock of this machine, only for what people read: other machines' may be days apart.
    func wall() -> Timestamp
    /// Time since some fixed moment; never goes back. Leases and timeouts are measured on this.
    func monotonic() -> Duration
    /// Returns after `duration`, or throws `CancellationError` when the task is cancelled before.
    func sleep(for duration: Duration) async throws
}

/// Randomness as Core sees it (jitter); the simulator passes a seeded one.
package protocol RandomSource: Sendable {
    /// A number in `0..<1`.
    func unit() -> Double
}

/// Named places in the code at which a test can stop, hold or kill the process.
///
/// Outside tests every call does nothing.
package protocol FaultPoints: Sendable {
    /// Returns at once, or when the test lets go; may never return because the process is killed here.
    func reach(_ name: String) async
    /// The same for a thread that may block (the store's writer).
    func reachBlocking(_ name: String)
}

/// No test is watching.
package struct NoFaultPoints: FaultPoints {
    package init() {}
    package func reach(_ name: String) async {}
    package func reachBlocking(_ name: String) {}
}
