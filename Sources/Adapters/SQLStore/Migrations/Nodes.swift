extension Migration {
    /// The management nodes that share the database, which of them holds a host's session, and what they ask of each other;
    /// and whether the records were brought back from an older copy.
    static let nodes = Migration(
        6, "nodes",
        [
            """
            CREATE TABLE node (
                id TEXT NOT NULL PRIMARY KEY,
                place TEXT NOT NULL,
                name TEXT NOT NULL,
                version TEXT NOT NULL,
                beat BIGINT NOT NULL,
                started_at BIGINT NOT NULL,
                seen_at BIGINT NOT NULL
            )
            """,
            "ALTER TABLE host ADD COLUMN node TEXT",
            """
            CREATE TABLE errand (
                id TEXT NOT NULL PRIMARY KEY,
                node TEXT NOT NULL,
                host TEXT NOT NULL,
                request TEXT NOT NULL,
                answer TEXT,
                taken_at BIGINT,
                created_at BIGINT NOT NULL
            )
            """,
            // The latest commit of each connection that writes: what became of one whose answer was lost.
            """
            CREATE TABLE writer (
                id TEXT NOT NULL PRIMARY KEY,
                commits BIGINT NOT NULL,
                committed_at BIGINT NOT NULL
            )
            """,
            // Whether the records were brought back from an older copy: one row.
            """
            CREATE TABLE recovery (
                id BIGINT NOT NULL PRIMARY KEY,
                generation BIGINT NOT NULL,
                heard BIGINT NOT NULL,
                observing_since BIGINT,
                reason TEXT
            )
            """,
            "INSERT INTO recovery (id, generation, heard) VALUES (1, 0, 0)",
            "ALTER TABLE host ADD COLUMN highest_epoch BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE host ADD COLUMN awaited BIGINT NOT NULL DEFAULT 0",
            "CREATE INDEX errand_untaken ON errand (node, created_at) WHERE taken_at IS NULL",
            "CREATE INDEX errand_created ON errand (created_at)",
            // Found at every beat, so that they are looked for among the few that run.
            "CREATE INDEX job_running ON job (owner) WHERE state = 'running'",
            // In the order in which jobs are taken up, so that any number of them can wait for the same moment.
            "DROP INDEX job_due",
            "CREATE INDEX job_due ON job (next_attempt_at, created_at, id) WHERE state = 'waiting'",
            """
            CREATE INDEX job_due_operation ON job (next_attempt_at, created_at, id)
            WHERE state = 'waiting' AND kind >= 'operation.' AND kind < 'operation/'
            """,
            // By a column that changes with the end alone, so that taking a job up leaves the index as it is.
            "DROP INDEX job_unfinished",
            "CREATE UNIQUE INDEX job_unfinished ON job (unique_key) WHERE ended_at IS NULL",
        ])
}
