extension Migration {
    /// Jobs that wait for somebody to look after them, and what the attempts of a job ran into, with the time.
    ///
    /// The table is made anew, because not every database can change a check. A job's first error was not kept before;
    /// of its last one the time of the latest change is the nearest that is known.
    static let parkedJobs = Migration(
        5, "parked-jobs",
        [
            """
            CREATE TABLE next_job (
                id TEXT NOT NULL PRIMARY KEY,
                kind TEXT NOT NULL,
                vm TEXT NOT NULL,
                host TEXT NOT NULL,
                peer TEXT,
                epoch BIGINT NOT NULL,
                payload TEXT NOT NULL,
                state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'parked', 'ended')),
                verdict TEXT,
                outcome TEXT,
                fault TEXT,
                wish BIGINT NOT NULL,
                attempts BIGINT NOT NULL,
                first_error TEXT,
                first_error_at BIGINT,
                last_error TEXT,
                last_error_at BIGINT,
                next_attempt_at BIGINT NOT NULL,
                owner TEXT,
                lease_token BIGINT NOT NULL,
                requested_by TEXT NOT NULL,
                unique_key TEXT NOT NULL,
                revision BIGINT NOT NULL,
                created_at BIGINT NOT NULL,
                updated_at BIGINT NOT NULL,
                ended_at BIGINT,
                CHECK ((state = 'ended') = (verdict IS NOT NULL)),
                CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
                CHECK ((first_error IS NULL) = (first_error_at IS NULL)),
                CHECK ((last_error IS NULL) = (last_error_at IS NULL))
            )
            """,
            """
            INSERT INTO next_job (id, kind, vm, host, peer, epoch, payload, state, verdict, outcome, fault, wish, attempts,
                last_error, last_error_at, next_attempt_at, owner, lease_token, requested_by, unique_key, revision,
                created_at, updated_at, ended_at)
            SELECT id, kind, vm, host, peer, epoch, payload, state, verdict, outcome, fault, wish, attempts,
                last_error, CASE WHEN last_error IS NULL THEN NULL ELSE updated_at END, next_attempt_at, owner,
                lease_token, requested_by, unique_key, revision, created_at, updated_at, ended_at
            FROM job
            """,
            """
            CREATE TABLE next_job_step (
                job TEXT NOT NULL REFERENCES next_job (id) ON DELETE CASCADE,
                name TEXT NOT NULL,
                number BIGINT NOT NULL,
                output TEXT NOT NULL,
                recorded_at BIGINT NOT NULL,
                PRIMARY KEY (job, name)
            )
            """,
            """
            INSERT INTO next_job_step (job, name, number, output, recorded_at)
            SELECT job, name, number, output, recorded_at FROM job_step
            """,
            "DROP TABLE job_step",
            "DROP TABLE job",
            // The steps' reference follows.
            "ALTER TABLE next_job RENAME TO job",
            "ALTER TABLE next_job_step RENAME TO job_step",
            "CREATE UNIQUE INDEX job_unfinished ON job (unique_key) WHERE state <> 'ended'",
            "CREATE INDEX job_due ON job (state, next_attempt_at)",
            "CREATE INDEX job_vm ON job (vm)",
            "CREATE INDEX job_host ON job (host)",
            "CREATE INDEX job_peer ON job (peer) WHERE peer IS NOT NULL",
            "CREATE INDEX job_parked ON job (vm) WHERE state = 'parked'",
            "CREATE INDEX job_created ON job (created_at, id)",
            // What is kept depends on how it ended.
            "CREATE INDEX job_ended ON job (verdict, ended_at) WHERE state = 'ended'",
        ])
}
