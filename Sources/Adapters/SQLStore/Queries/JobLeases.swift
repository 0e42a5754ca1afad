import ControlPlane
import Domain

/// The job engine's part of `JobTable`: who works on what, and which steps are done.
extension SQLTransaction {
    func leaseDueJobs(owner: String, limit: Int) throws -> LeasedJobs {
        // Operations first: whoever waits for one does not wait behind the leftovers of a host that came back.
        var due = try dueJobs(owner, limit, where: Self.isOperation)
        if due.count < limit { due += try dueJobs(owner, limit - due.count, where: "NOT (\(Self.isOperation))") }
        if !due.isEmpty {
            try sql.perform("INSERT INTO lessee (id) VALUES (?) ON CONFLICT (id) DO NOTHING", [.text(owner)])
        }
        for (part, places) in SQLText.groups(of: due) {
            let rest = Array(repeating: SQLValue.null, count: places - part.count)
            let leased = try records.execute(
                """
                UPDATE job SET state = 'running', owner = ?, lease_token = lease_token + 1, attempts = attempts + 1,
                    revision = revision + 1, updated_at = ?
                WHERE id IN (\(SQLText.places(places))) AND state = 'waiting'
                """, [.text(owner), SQLValue(now)] + part.map { SQLValue($0.id) } + rest)
            guard leased == part.count else { throw LostRace() }
        }
        return LeasedJobs(count: due.count) { [due, now] in due.map { $0.job().leased(by: owner, at: now) } }
    }

    /// Waiting jobs whose time has come, earliest first.
    private func dueJobs(_ owner: String, _ limit: Int, where condition: String) throws -> [JobReading] {
        // The number stands in the statement, so that it is planned for as few rows as it yields; there are few numbers, so
        // that it can be kept prepared.
        var size = 1
        while size < limit { size *= 2 }
        return try sql.query(
            """
            \(JobRows.select)
            WHERE ended_at IS NULL AND state = 'waiting' AND \(condition) AND next_attempt_at <= ? AND \(Self.isMine)
            ORDER BY next_attempt_at, created_at, id LIMIT \(size)
            """, SQLValue(now), .text(owner)
        ).prefix(limit).map(JobReading.init)
    }

    /// As the index of due operations has it.
    private static let isOperation = "kind >= 'operation.' AND kind < 'operation/'"

    func nextDueTime(for owner: String) throws -> Timestamp? {
        let rows = try sql.query(
            """
            SELECT id, next_attempt_at FROM job WHERE ended_at IS NULL AND state = 'waiting' AND \(Self.isMine)
            ORDER BY next_attempt_at LIMIT 1
            """, .text(owner))
        return try rows.first.map { try RowReader("job", $0).time("next_attempt_at") }
    }

    /// Holds for a job whose host has no session with another node.
    private static let isMine =
        "host NOT IN (SELECT id FROM host WHERE node IS NOT NULL AND node <> ?)"

    func retryParkedOperations() throws {
        let retried = try sql.execute(
            """
            UPDATE job SET state = 'waiting', next_attempt_at = ?, revision = revision + 1, updated_at = ?
            WHERE ended_at IS NULL AND state = 'parked' AND \(Self.isOperation)
            """, SQLValue(now), SQLValue(now))
        if retried > 0 { noteJobs() }
    }

    func wakeJobs(on host: HostID) throws -> Int {
        let woken = try sql.execute(
            """
            UPDATE job SET next_attempt_at = CASE WHEN next_attempt_at > ? THEN ? ELSE next_attempt_at END,
                revision = revision + 1, updated_at = ?
            WHERE (host = ? OR peer = ?) AND ended_at IS NULL AND state = 'waiting'
            """, SQLValue(now), SQLValue(now), SQLValue(now), SQLValue(host), SQLValue(host))
        if woken > 0 { noteJobs() }
        return woken
    }

    func wakeDrains() throws {
        // All unique keys that begin with "maintain/", by their index.
        let woken = try sql.execute(
            """
            UPDATE job SET next_attempt_at = ?, revision = revision + 1, updated_at = ?
            WHERE vm = ? AND unique_key >= 'maintain/' AND unique_key < 'maintain0' AND ended_at IS NULL
                AND state = 'waiting' AND next_attempt_at > ?
            """, SQLValue(now), SQLValue(now), SQLValue(VMID.nobody), SQLValue(now))
        if woken > 0 { noteJobs() }
    }

    func openDrain(of host: HostID) throws -> Job? {
        try sql.query(
            "\(JobRows.select) WHERE \(JobRows.unfinished)", SQLValue(VMID.nobody), SQLValue("maintain/\(host)")
        ).first.map(JobRows.record)
    }

    func stepOutput(of job: JobID, named step: String) throws -> String? {
        try sql.query("SELECT job, output FROM job_step WHERE job = ? AND name = ?", SQLValue(job), SQLValue(step))
            .first
            .map { try RowReader("step of job", key: "job", $0).text("output") }
    }

    func steps(of job: JobID) throws -> [JobStep] {
        try sql.query(
            "SELECT job, name, output, recorded_at FROM job_step WHERE job = ? ORDER BY number", SQLValue(job)
        )
        .map { row in
            let read = RowReader("step of job", key: "job", row)
            return JobStep(
                name: try read.text("name"), output: try read.text("output"), at: try read.time("recorded_at"))
        }
    }

    func recordStep(_ output: String, of job: JobID, named step: String, underLease token: Int64) throws -> Bool {
        // Writes the row unchanged, so that nobody can take the lease over before this transaction commits.
        let held = try sql.execute(
            "UPDATE job SET lease_token = lease_token WHERE id = ? AND state = 'running' AND lease_token = ?",
            SQLValue(job), SQLValue(token))
        guard held == 1 else { return false }
        try sql.execute(
            """
            INSERT INTO job_step (job, name, number, output, recorded_at)
            VALUES (?, ?, (SELECT COUNT(*) + 1 FROM job_step WHERE job = ?), ?, ?)
            ON CONFLICT (job, name) DO UPDATE SET output = excluded.output, recorded_at = excluded.recorded_at
            """, SQLValue(job), SQLValue(step), SQLValue(job), SQLValue(output), SQLValue(now))
        return true
    }
}

extension Job {
    /// This job, as the row of it is once `owner` has leased it.
    fileprivate func leased(by owner: String, at now: Timestamp) -> Job {
        var next = self
        next.state = .running
        next.owner = owner
        next.leaseToken += 1
        next.attempts += 1
        next.revision += 1
        next.updatedAt = now
        return next
    }
}
