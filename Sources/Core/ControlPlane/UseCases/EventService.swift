package import Domain

/// Every state change, in commit order.
package struct EventService: Sendable {
    let context: Context

    package init(_ context: Context) { self.context = context }

    package func events(after id: Int64, limit: Int) async throws -> [NumberedEvent] {
        try await context.database.read { tx in try tx.events(after: id, limit: limit) }
    }

    /// Where a reader begins that has had everything up to `id`; without one, with what happens from now on. 0 begins with
    /// the oldest event that is kept.
    ///
    /// Throws the fault `events-expired` if some event after `id` is not kept any more.
    package func start(after id: Int64?) async throws -> Int64 {
        guard let id else { return try await latest() }
        guard id > 0 else { return 0 }
        let oldest = try await context.database.read { tx in try tx.oldestEventID() ?? tx.latestEventID() + 1 }
        guard id >= oldest - 1 else { throw Fault.eventsExpired(after: id) }
        return id
    }

    package func latest() async throws -> Int64 { try await context.database.read { tx in try tx.latestEventID() } }

    /// Events after `id`, waiting for the first of them at most `limit`; empty when none came. None is left out: where the
    /// next one is not kept any more, it throws `events-expired`.
    package func next(after id: Int64, limit count: Int, atMost limit: Duration) async throws -> [NumberedEvent] {
        let deadline = context.time.monotonic() + limit
        while true {
            let ticket = context.feed.ticket(.anything)
            let found = try await events(after: id, limit: count)
            // Ids have no gaps.
            if id > 0, let first = found.first, first.id != id + 1 { throw Fault.eventsExpired(after: id) }
            let left = deadline - context.time.monotonic()
            if !found.isEmpty || left <= .zero || Task.isCancelled { return found }
            await context.feed.wait(past: ticket, atMost: left, context.time)
        }
    }
}

extension Fault {
    fileprivate static func eventsExpired(after id: Int64) -> Fault {
        Fault(
            .notFound, .eventsExpired, "Some events after \(id) are not kept any more.",
            hint: "Read the present state, then follow from now on, or from 0 for all that is kept.")
    }
}
