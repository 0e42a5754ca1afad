package import Domain

/// Every state change, in commit order.
package struct EventService: Sendable {
    let context: Context

    package init(_ context: Context) { self.context = context }

    package func events(after id: Int64, limit: Int) async throws -> [NumberedEvent] {
        try await context.database.read { tx in try tx.events(after: id, limit: limit) }
    }

    package func latest() async throws -> Int64 { try await context.database.read { tx in try tx.latestEventID() } }

    /// Events after `id`, waiting for the first of them at most `limit`; empty when none came.
    package func next(after id: Int64, limit count: Int, atMost limit: Duration) async throws -> [NumberedEvent] {
        let deadline = context.time.monotonic() + limit
        while true {
            let ticket = context.feed.ticket(.anything)
            let found = try await events(after: id, limit: count)
            let left = deadline - context.time.monotonic()
            if !found.isEmpty || left <= .zero || Task.isCancelled { return found }
            await context.feed.wait(past: ticket, atMost: left, context.time)
        }
    }
}
