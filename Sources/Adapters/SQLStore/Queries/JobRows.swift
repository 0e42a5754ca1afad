import ControlPlane
import Domain

/// Rows of `job` as records.
enum JobRows {
    /// Written once.
    static let fixed = [
        "id", "revision", "created_at", "kind", "vm", "host", "epoch", "wish", "requested_by", "unique_key",
        "peer",
    ]
    static let changing = [
        "payload", "state", "verdict", "outcome", "fault", "attempts", "first_error", "first_error_at", "last_error",
        "last_error_at", "next_attempt_at", "owner", "lease_token", "updated_at", "ended_at",
    ]
    static let columns = (fixed + changing).joined(separator: ", ")
    static let select = "SELECT \(columns) FROM job"
    /// With the values of all columns, then the VM and the key. The turn of a key rises with each job of it that has ended, so
    /// that a second one beside an unfinished one would have the same turn: the unique index `job_key` refuses it. An index of
    /// what is unfinished would do the same, and be written again at each end, in the order of the VMs' random ids.
    static let insert = """
        INSERT INTO job (\(columns), turn) VALUES (\(SQLText.places(fixed.count + changing.count)), COALESCE(
            (SELECT turn + CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END FROM job WHERE vm = ? AND unique_key = ?
            ORDER BY turn DESC LIMIT 1), 0))
        ON CONFLICT (vm, unique_key, turn) DO NOTHING
        """
    /// Of a VM and a key.
    static let unfinished = "vm = ? AND unique_key = ? AND ended_at IS NULL"
    static let update = SQLText.update("job", changing)

    static let list = ListSQL<Job>(
        noun: "jobs", select: select,
        filters: [
            "purpose": JobListFilters.purpose,
            "kind": JobListFilters.kind,
            "state": JobListFilters.state,
            "vm": .reference("vm", to: "vm", where: VMRows.ownsName),
            "host": .reference("host", to: "host", where: "deleted_at IS NULL"),
        ],
        sorts: ["createdAt": .time("created_at"), "updatedAt": .time("updated_at")],
        record: record)

    /// The stored form of `Job.state` without its end.
    private enum Phase: String { case waiting, running, parked, ended }

    static func fixedValues(_ job: Job) -> [SQLValue] {
        [
            SQLValue(job.id), SQLValue(job.revision), SQLValue(job.createdAt), SQLValue(job.storedKind),
            SQLValue(job.vm),
            SQLValue(job.host), SQLValue(job.epoch), SQLValue(job.wish), SQLValue(job.requestedBy),
            SQLValue(job.uniqueKey), SQLValue(job.peer),
        ]
    }

    static func changingValues(_ job: Job) throws -> [SQLValue] {
        let phase: Phase
        let end: JobEnd?
        switch job.state {
        case .waiting: (phase, end) = (.waiting, nil)
        case .running: (phase, end) = (.running, nil)
        case .parked: (phase, end) = (.parked, nil)
        case .ended(let how): (phase, end) = (.ended, how)
        }
        return [
            SQLValue(try StoredWork.text(of: job)), SQLValue(phase), SQLValue(end?.verdict.rawValue),
            SQLValue(end?.outcome.rawValue), SQLValue(try end?.fault.map(JSONText.encode)), SQLValue(job.attempts),
            SQLValue(job.firstError?.message), SQLValue(job.firstError?.at), SQLValue(job.lastError?.message),
            SQLValue(job.lastError?.at), SQLValue(job.nextAttemptAt), SQLValue(job.owner), SQLValue(job.leaseToken),
            SQLValue(job.updatedAt), SQLValue(job.endedAt),
        ]
    }

    /// `job` as it is stored now: an ended job has the time of its end, only a running one has an owner, and a
    /// parked one is never due.
    static func settled(_ job: Job, revision: Int, at now: Timestamp) -> Job {
        var stored = job
        stored.revision = revision
        stored.updatedAt = now
        switch job.state {
        case .waiting: (stored.owner, stored.endedAt) = (nil, nil)
        case .parked: (stored.owner, stored.endedAt, stored.nextAttemptAt) = (nil, nil, .never)
        case .running: stored.endedAt = nil
        case .ended: (stored.owner, stored.endedAt) = (nil, job.endedAt ?? now)
        }
        return stored
    }

    static func record(_ row: SQLRow) throws -> Job { try JobReading(row).job() }

    fileprivate static func error(_ read: RowReader, _ column: String) throws -> JobError? {
        guard let message = try read.optionalText(column) else { return nil }
        return JobError(message, at: try read.time("\(column)_at"))
    }

    fileprivate static func state(_ read: RowReader) throws -> JobState {
        let phase: Phase = try read.label("state")
        let verdict: JobEnd.Verdict? = try read.optionalLabel("verdict")
        let outcome = try read.optionalText("outcome").map { JobOutcome(rawValue: $0) ?? .unnamed }
        let fault: Fault? = try read.optionalJSON("fault")
        switch (phase, verdict, outcome, fault) {
        case (.waiting, nil, nil, nil): return .waiting
        case (.running, nil, nil, nil): return .running
        case (.parked, nil, nil, nil): return .parked
        case (.ended, let verdict?, let outcome?, let fault): return .ended(JobEnd(verdict, outcome, fault: fault))
        case (.waiting, _, _, _), (.running, _, _, _), (.parked, _, _, _), (.ended, _, _, _):
            throw read.impossible("its verdict, outcome or fault does not fit the state '\(phase.rawValue)'")
        }
    }
}

/// A row of `job` that makes sense. What the job is to do is left to be read, which takes as long as all the rest and cannot
/// fail.
struct JobReading: Sendable {
    let id: JobID
    let job: @Sendable () -> Job

    init(_ row: SQLRow) throws {
        let read = RowReader("job", row)
        let id: JobID = try read.id("id")
        let (kind, payload) = (try read.text("kind"), try read.text("payload"))
        let (vm, host): (VMID, HostID) = (try read.id("vm"), try read.id("host"))
        let (epoch, state, wish) = (try read.epoch("epoch"), try JobRows.state(read), try read.int("wish"))
        let attempts = try read.int("attempts")
        let (first, last) = (try JobRows.error(read, "first_error"), try JobRows.error(read, "last_error"))
        let (next, owner) = (try read.time("next_attempt_at"), try read.optionalText("owner"))
        let (token, requester) = (try read.integer("lease_token"), try read.text("requested_by"))
        let (revision, created) = (try read.int("revision"), try read.time("created_at"))
        let (updated, ended) = (try read.time("updated_at"), try read.optionalTime("ended_at"))
        self.id = id
        job = {
            let work = StoredWork(kind: kind, payload: payload)
            return Job(
                id: id, kind: work.kind, vm: vm, host: host, epoch: epoch, payload: work.payload, state: state,
                wish: wish, attempts: attempts, firstError: first, lastError: last, nextAttemptAt: next, owner: owner,
                leaseToken: token, requestedBy: requester, revision: revision, createdAt: created, updatedAt: updated,
                endedAt: ended, unreadable: work.unreadable)
        }
    }
}

extension SQLTransaction: JobTable {
    func job(_ id: JobID) throws -> Job? {
        try sql.query("\(JobRows.select) WHERE id = ?", SQLValue(id)).first.map(JobRows.record)
    }

    func jobs(_ query: ListQuery) throws -> ListPage<Job> { try JobRows.list.page(query, on: sql) }

    func unfinishedJobs(of vm: VMID) throws -> [Job] {
        try sql.query("\(JobRows.select) WHERE vm = ? AND ended_at IS NULL ORDER BY created_at, id", SQLValue(vm))
            .map(JobRows.record)
    }

    func unfinishedJobs(on host: HostID) throws -> [Job] {
        try sql.query(
            "\(JobRows.select) WHERE (host = ? OR peer = ?) AND ended_at IS NULL ORDER BY created_at, id",
            SQLValue(host), SQLValue(host)
        ).map(JobRows.record)
    }

    func parkedJobs(of vm: VMID) throws -> [Job] {
        try sql.query(
            "\(JobRows.select) WHERE vm = ? AND ended_at IS NULL AND state = 'parked' ORDER BY created_at, id",
            SQLValue(vm)
        )
        .map(JobRows.record)
    }

    func enqueue(_ new: Job) throws -> Job {
        let job = JobRows.settled(new, revision: new.revision, at: new.updatedAt)
        let values = JobRows.fixedValues(job) + (try JobRows.changingValues(job))
        let key = [SQLValue(job.vm), SQLValue(job.uniqueKey)]
        guard try sql.execute(JobRows.insert, values + key) == 0 else {
            noteJobs()
            return job
        }
        let others = try sql.query("\(JobRows.select) WHERE \(JobRows.unfinished)", key)
        // None: the row that is there is another one with this id.
        guard let other = others.first else { throw LostRace() }
        return try JobRows.record(other)
    }

    func replace(_ next: Job, atRevision revision: Int) throws -> Job {
        let stored = JobRows.settled(next, revision: revision + 1, at: now)
        let arguments = try JobRows.changingValues(stored) + [SQLValue(next.id), SQLValue(revision)]
        guard try sql.execute("\(JobRows.update) WHERE id = ? AND revision = ?", arguments) == 1 else {
            throw LostRace()
        }
        noteJobs()
        return stored
    }

    func replace(_ next: Job, underLease token: Int64) throws -> Job? {
        let settled = JobRows.settled(next, revision: next.revision, at: now)
        let written = try sql.query(
            "\(JobRows.update) WHERE id = ? AND state = 'running' AND lease_token = ? RETURNING \(JobRows.columns)",
            try JobRows.changingValues(settled) + [SQLValue(next.id), SQLValue(token)])
        guard let row = written.first else { return nil }
        noteJobs()
        return try JobRows.record(row)
    }

    func end(_ job: JobID, underLease token: Int64, as end: JobEnd) throws -> Bool {
        try self.end(LeasedEnd(job: job, token: token, end: end))
    }

    func removeJobs(_ verdict: JobEnd.Verdict, before time: Timestamp, limit: Int) throws -> Int {
        try sql.execute(
            """
            DELETE FROM job WHERE id IN (SELECT id FROM job
                WHERE verdict = ? AND ended_at < ? ORDER BY ended_at LIMIT ?)
            """, SQLValue(verdict), SQLValue(time), SQLValue(limit))
    }
}
