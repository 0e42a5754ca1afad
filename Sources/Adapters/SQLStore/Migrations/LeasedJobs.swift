import Domain

extension Migration {
    /// Jobs are leased without a change of any index: each goes by what is fixed, by the due time, or by a column that changes
    /// with the end alone. A parked job is due at `Timestamp.never`.
    static let jobLeases = Migration(
        7, "job-leases",
        [
            // Who ever leased jobs: the leases of one that is no node any more are looked for, and no others.
            "CREATE TABLE lessee (id TEXT NOT NULL PRIMARY KEY)",
            "INSERT INTO lessee (id) SELECT DISTINCT COALESCE(owner, '') FROM job WHERE state = 'running'",
            "DROP INDEX job_running",
            "UPDATE job SET next_attempt_at = \(Timestamp.never.milliseconds) WHERE state = 'parked'",
            "DROP INDEX job_parked",
            // In the order in which jobs are taken up, so that any number of them can wait for the same moment.
            "DROP INDEX job_due",
            "CREATE INDEX job_due ON job (next_attempt_at, created_at, id) WHERE ended_at IS NULL",
            "DROP INDEX job_due_operation",
            """
            CREATE INDEX job_due_operation ON job (next_attempt_at, created_at, id)
            WHERE ended_at IS NULL AND kind >= 'operation.' AND kind < 'operation/'
            """,
            // The lists of what waits, runs or needs attention, among any number that ended.
            "CREATE INDEX job_open ON job (created_at, id) WHERE ended_at IS NULL",
            // How many jobs of the same key had ended before. One index serves for a VM's jobs and for their keys, because both are
            // in as random an order as the VMs' ids, and the end of a job leaves it as it is. So a key need not name its VM.
            "DROP INDEX job_unfinished",
            "DROP INDEX job_vm",
            "UPDATE job SET unique_key = replace(unique_key, '/' || vm, '')",
            "ALTER TABLE job ADD COLUMN turn BIGINT NOT NULL DEFAULT 0",
            """
            UPDATE job SET turn = counted.turn FROM (
                SELECT id, row_number() OVER (
                    PARTITION BY vm, unique_key ORDER BY (ended_at IS NULL), created_at, id
                ) - 1 AS turn FROM job
            ) AS counted WHERE counted.id = job.id
            """,
            "CREATE UNIQUE INDEX job_key ON job (vm, unique_key, turn)",
            "DROP INDEX job_ended",
            "CREATE INDEX job_ended ON job (verdict, ended_at) WHERE ended_at IS NOT NULL",
        ])
}
