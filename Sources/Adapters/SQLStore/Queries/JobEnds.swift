import ControlPlane
import Domain

/// The end of a job, under the lease that its worker holds.
struct LeasedEnd: Sendable {
    let job: JobID
    let token: Int64
    let end: JobEnd
}

/// Ends many jobs in one statement, each under its own lease.
enum JobEnds {
    /// Returns how many were ended: those whose lease still holds.
    static func write(_ ends: [LeasedEnd], at now: Timestamp, on sql: any SQLConnection) throws -> Int {
        var written = 0
        for (part, places) in SQLText.groups(of: ends) {
            let rows = try part.flatMap { end in
                [
                    SQLValue(end.job), .integer(end.token), SQLValue(end.end.verdict), SQLValue(end.end.outcome),
                    SQLValue(try end.end.fault.map(JSONText.encode)),
                ]
            }
            // No job has the id null.
            let rest = Array(repeating: SQLValue.null, count: 5 * (places - part.count))
            written += try sql.execute(statement(places), [SQLValue(now), SQLValue(now)] + rows + rest)
        }
        return written
    }

    private static func statement(_ count: Int) -> String {
        """
        UPDATE job SET state = 'ended', owner = NULL, updated_at = ?, ended_at = ?, revision = revision + 1,
            verdict = given.column3, outcome = given.column4, fault = given.column5
        FROM (VALUES \(SQLText.rows(count, "(?, CAST(? AS BIGINT), ?, ?, ?)"))) AS given
        WHERE job.id = given.column1 AND job.lease_token = given.column2 AND job.state = 'running'
        """
    }
}
