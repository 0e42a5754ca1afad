import ControlPlane
import Domain

/// Rows of `event`.
///
/// An id is taken from a counter row, which the transaction holds until it commits: so ids rise in commit order also
/// where several writers append, and no id is missing or used twice.
enum EventRows {
    /// Writes `events` in their order, and returns them with their ids.
    static func write(_ events: [Event], at now: Timestamp, on sql: any SQLConnection) throws -> [NumberedEvent] {
        let counted = try sql.query(
            "UPDATE counter SET value = value + ? WHERE name = 'event' RETURNING name, value", SQLValue(events.count))
        guard let row = counted.first else {
            throw Fault(
                .bug, .internalError, "The database has lost its count of events.",
                hint: "It was changed by something other than Roost: restore it from a backup.")
        }
        let last = try RowReader("counter", key: "name", row).integer("value")
        let first = last - Int64(events.count) + 1
        let numbered = zip(first..., events).map { NumberedEvent(id: $0, at: now, event: $1) }
        for part in SQLText.parts(of: numbered) { try sql.perform(insert(part.count), part.flatMap(values)) }
        return numbered
    }

    private static func insert(_ count: Int) -> String {
        """
        INSERT INTO event (id, recorded_at, kind, vm, host, job, epoch, message, principal)
        VALUES \(SQLText.rows(count, "(?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        """
    }

    private static func values(_ numbered: NumberedEvent) -> [SQLValue] {
        let event = numbered.event
        return [
            SQLValue(numbered.id), SQLValue(numbered.at), SQLValue(event.kind), SQLValue(event.vm),
            SQLValue(event.host), SQLValue(event.job), SQLValue(event.epoch?.rawValue), SQLValue(event.message),
            SQLValue(event.principal),
        ]
    }
}

extension SQLTransaction: EventLog {
    func append(_ event: Event) throws { try tell(event) }

    func events(after id: Int64, limit: Int) throws -> [NumberedEvent] {
        try sql.query(
            """
            SELECT id, recorded_at, kind, vm, host, job, epoch, message, principal FROM event
            WHERE id > ? ORDER BY id LIMIT ?
            """, SQLValue(id), SQLValue(limit)
        ).map(Self.numberedEvent)
    }

    func latestEventID() throws -> Int64 {
        let rows = try sql.query("SELECT name, value FROM counter WHERE name = 'event'")
        return try rows.first.map { try RowReader("counter", key: "name", $0).integer("value") } ?? 0
    }

    func oldestEventID() throws -> Int64? {
        let rows = try sql.query("SELECT MIN(id) AS id FROM event")
        return try rows.first.flatMap { try RowReader("event", $0).optionalInteger("id") }
    }

    func removeEvents(before time: Timestamp, limit: Int) throws -> Int {
        let oldest = try sql.query("SELECT id, recorded_at FROM event ORDER BY id LIMIT ?", SQLValue(limit)).map {
            row in
            let read = RowReader("event", row)
            return (id: try read.integer("id"), at: try read.time("recorded_at"))
        }
        guard let last = oldest.prefix(while: { $0.at < time }).last else { return 0 }
        return try sql.execute("DELETE FROM event WHERE id <= ?", SQLValue(last.id))
    }

    private static func numberedEvent(_ row: SQLRow) throws -> NumberedEvent {
        let read = RowReader("event", row)
        return NumberedEvent(
            id: try read.integer("id"), at: try read.time("recorded_at"),
            event: Event(
                kind: try read.text("kind"), vm: try read.optionalID("vm"), host: try read.optionalID("host"),
                job: try read.optionalID("job"), epoch: try read.optionalInteger("epoch").map(Epoch.init),
                message: try read.text("message"), principal: try read.text("principal")))
    }
}
