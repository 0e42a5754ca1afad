/// Returns what `look` finds, looking every `interval` until it finds something; throws when `limit` has passed.
func waitFor<Found>(
    _ what: String, limit: Duration, every interval: Duration = .milliseconds(20), _ look: () async throws -> Found?
) async throws -> Found {
    let deadline = ContinuousClock.now + limit
    while true {
        if let found = try await look() { return found }
        guard ContinuousClock.now < deadline else { throw MeasureFailed("\(what): not within \(limit)") }
        try await Task.sleep(for: interval)
    }
}
