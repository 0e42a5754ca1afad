/// Exponential backoff with full jitter: many jobs that failed together do not come back together.
package struct Backoff: Hashable, Sendable {
    package let base: Duration
    package let cap: Duration

    package init(base: Duration, cap: Duration) {
        self.base = base
        self.cap = cap
    }

    /// The longest wait after `attempts` failures: `base` doubled each time, at most `cap`.
    package func ceiling(attempts: Int) -> Duration {
        var wait = base
        for _ in 1..<max(attempts, 1) {
            if wait >= cap { return cap }
            wait = wait * 2
        }
        return min(wait, cap)
    }

    /// The wait after `attempts` failures; `unit` is a random number in `0..<1`.
    package func delay(attempts: Int, unit: Double) -> Duration {
        ceiling(attempts: attempts) * max(unit, 0.05)
    }
}
