import ControlPlane
import Domain

/// The one row of `recovery`, and what is looked through as a whole when the records were restored.
extension SQLTransaction: RecoveryTable {
    func recovery() throws -> Recovery {
        let rows = try sql.query("SELECT id, generation, heard, observing_since, reason FROM recovery")
        guard let row = rows.first else {
            throw Fault(
                .bug, .internalError, "The database does not say whether it was restored.",
                hint: "It was changed by something other than Roost: restore it from a backup.")
        }
        let read = RowReader("recovery", row)
        let observing = try read.optionalTime("observing_since").map { since in
            Recovery.Observing(since: since, reason: try read.optionalText("reason") ?? "")
        }
        return Recovery(
            generation: try read.integer("generation"), observing: observing,
            heard: RecordPoint(rawValue: try read.integer("heard")))
    }

    func put(_ recovery: Recovery) throws {
        try sql.execute(
            "UPDATE recovery SET generation = ?, heard = ?, observing_since = ?, reason = ?",
            SQLValue(recovery.generation), SQLValue(recovery.heard.rawValue), SQLValue(recovery.observing?.since),
            SQLValue(recovery.observing?.reason))
    }

    func awaitedHosts() throws -> [Host] {
        try sql.query("\(HostRows.select) WHERE awaited = 1 ORDER BY name, id").map(HostRows.record)
    }

    func allVMs() throws -> [VM] { try sql.query("\(VMRows.select) ORDER BY name, id").map(VMRows.record) }

    func allSightings() throws -> [Sighting] {
        try sql.query("\(Self.selectSighting) ORDER BY vm, host").map(Self.sighting)
    }

    func unfinishedJobs() throws -> [Job] {
        try sql.query("\(JobRows.select) WHERE ended_at IS NULL ORDER BY created_at, id").map(JobRows.record)
    }

    func breakLeases() throws {
        try sql.execute(
            """
            UPDATE job SET state = 'waiting', owner = NULL, lease_token = lease_token + 1, revision = revision + 1,
                updated_at = ?
            WHERE ended_at IS NULL AND state = 'running'
            """, SQLValue(now))
    }

    func highestEpoch() throws -> Epoch {
        let rows = try sql.query(
            """
            SELECT MAX(epoch) AS epoch FROM (
                SELECT epoch FROM vm UNION ALL SELECT epoch FROM sighting UNION ALL SELECT highest_epoch FROM host
            ) AS seen
            """)
        guard let row = rows.first else { return .none }
        return Epoch(try RowReader("epoch", key: "epoch", row).optionalInteger("epoch") ?? 0)
    }

    func skipEventIDs(past id: Int64) throws {
        try sql.execute(
            "UPDATE counter SET value = ? WHERE name = 'event' AND value < ?", SQLValue(id), SQLValue(id))
    }
}
