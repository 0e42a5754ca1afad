import Domain

/// How long to wait before dialling again. A value: told each end, and a random number, it answers.
struct RedialPlan {
    let settings: LinkSettings
    private var failures = 0

    init(settings: LinkSettings) { self.settings = settings }

    /// The wait after a session that ended as `end`, having been welcomed and `lasted` so long; `spread` is the
    /// welcome's, and `unit` a random number in `0..<1`.
    mutating func wait(
        after end: LinkSession.End, lasted: Duration, welcomed: Bool, spread: Duration, unit: Double
    ) -> Duration {
        if case .refused(let fault) = end, fault.kind != .unavailable, fault.code != .staleSession {
            failures = 0
            // Between half of it and all of it.
            return settings.refusedRetry * (0.5 + unit / 2)
        }
        if welcomed, lasted >= settings.lasting { failures = 0 }
        if case .goodbye = end { failures = 0 }
        failures += 1
        let ceiling = settings.backoff.ceiling(attempts: failures)
        // All agents of a server lose it in the same moment; the spread keeps them from returning in the same moment.
        return max(ceiling, failures == 1 ? spread : .zero) * unit
    }
}
