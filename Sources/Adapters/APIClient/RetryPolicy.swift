import APIContract

/// When a request is sent again, with the same idempotency key, and after how long.
package struct RetryPolicy: Hashable, Sendable {
    /// How often a request is sent in all.
    package let attemptsMax: Int

    package static let standard = RetryPolicy(attemptsMax: 5)
    /// For a body of many gigabytes.
    package static let upload = RetryPolicy(attemptsMax: 2)
    package static let never = RetryPolicy(attemptsMax: 1)

    package init(attemptsMax: Int) { self.attemptsMax = attemptsMax }

    /// How long to wait before the next attempt; nil when `failure` is final.
    ///
    /// `attempt` counts from 1. A server that was not there from the start is not waited for, while one that was there
    /// and went away may just be starting again.
    package func delay(
        after failure: APIFailure, attempt: Int, hadConnection: Bool, retryAfter: Int? = nil
    ) -> Duration? {
        guard attempt < attemptsMax else { return nil }
        let isWorthIt =
            switch failure {
            case .problem(let problem): Self.isPassing(problem)
            case .unreachable(_, .broken): true
            case .unreachable(_, .notConnected): hadConnection
            case .unreachable(_, .untrusted), .unreachable(_, .noTLS), .timedOut, .unexpectedAnswer, .fileUnreadable:
                false
            }
        guard isWorthIt else { return nil }
        var delay = Duration.milliseconds(200)
        for _ in 1..<max(attempt, 1) { delay *= 3 }
        return max(delay, .seconds(min(retryAfter ?? 0, 10)))
    }

    /// Whether the server itself cannot serve for a moment. Of a host that cannot be reached, a 503 tells what is so.
    private static func isPassing(_ problem: Problem) -> Bool {
        problem.status == 503
            && !["host-unreachable", "libvirt-unavailable", "outcome-unknown"].contains(problem.code)
    }
}
