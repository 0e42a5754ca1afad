extension Migration {
    /// The tables of hosts, VMs, images, jobs, credentials, events and requests.
    static let records = Migration(1, "records", vmTables + hostTables + jobTables + credentialTables + logTables)

    private static let vmTables = [
        """
        CREATE TABLE image (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            command_line TEXT NOT NULL,
            files TEXT NOT NULL,
            revision BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX image_name ON image (name)",
        // The checks hold the first law at the last line: what runs has a placement, and what is at rest has none.
        """
        CREATE TABLE vm (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            image TEXT NOT NULL,
            cpus BIGINT NOT NULL,
            memory BIGINT NOT NULL,
            state TEXT NOT NULL,
            placement_host TEXT,
            placement_epoch BIGINT,
            wait_reason TEXT,
            stop_cause TEXT,
            epoch BIGINT NOT NULL,
            last_host TEXT,
            pool TEXT,
            domain_seen BIGINT NOT NULL,
            observed_session BIGINT,
            observed_sequence BIGINT,
            operation TEXT,
            wish BIGINT NOT NULL,
            revision BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            CHECK ((placement_host IS NULL) = (placement_epoch IS NULL)),
            CHECK (state NOT IN ('created', 'stopped', 'crashed', 'destroyed') OR placement_host IS NULL),
            CHECK (state NOT IN ('starting', 'running', 'paused', 'stopping', 'unknown') OR placement_host IS NOT NULL),
            CHECK (placement_epoch IS NULL OR placement_epoch <= epoch)
        )
        """,
        "CREATE UNIQUE INDEX vm_name ON vm (name) WHERE state <> 'destroyed'",
        "CREATE INDEX vm_placement ON vm (placement_host) WHERE placement_host IS NOT NULL",
        "CREATE INDEX vm_image ON vm (image)",
        "CREATE INDEX vm_created ON vm (created_at, id)",
    ]

    private static let hostTables = [
        """
        CREATE TABLE host (
            id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            state TEXT NOT NULL,
            connection TEXT NOT NULL,
            session BIGINT NOT NULL,
            libvirt_answers BIGINT NOT NULL,
            boot_id TEXT,
            facts TEXT,
            last_seen_at BIGINT,
            fenced_at BIGINT,
            fence_proof TEXT,
            deleted_at BIGINT,
            revision BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX host_name ON host (name) WHERE deleted_at IS NULL",
        // No reference to vm: a sighting may be of a VM that no record knows.
        """
        CREATE TABLE sighting (
            vm TEXT NOT NULL,
            host TEXT NOT NULL,
            epoch BIGINT NOT NULL,
            state TEXT NOT NULL,
            seen_at BIGINT NOT NULL,
            PRIMARY KEY (vm, host)
        )
        """,
        "CREATE INDEX sighting_host ON sighting (host)",
    ]

    private static let jobTables = [
        """
        CREATE TABLE job (
            id TEXT NOT NULL PRIMARY KEY,
            kind TEXT NOT NULL,
            vm TEXT NOT NULL,
            host TEXT NOT NULL,
            epoch BIGINT NOT NULL,
            payload TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'ended')),
            verdict TEXT,
            outcome TEXT,
            fault TEXT,
            wish BIGINT NOT NULL,
            attempts BIGINT NOT NULL,
            last_error TEXT,
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
            CHECK ((state = 'ended') = (ended_at IS NOT NULL))
        )
        """,
        "CREATE UNIQUE INDEX job_unfinished ON job (unique_key) WHERE state <> 'ended'",
        "CREATE INDEX job_due ON job (state, next_attempt_at)",
        "CREATE INDEX job_vm ON job (vm)",
        "CREATE INDEX job_host ON job (host)",
        "CREATE INDEX job_created ON job (created_at, id)",
        "CREATE INDEX job_ended ON job (ended_at) WHERE state = 'ended'",
        """
        CREATE TABLE job_step (
            job TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            number BIGINT NOT NULL,
            output TEXT NOT NULL,
            recorded_at BIGINT NOT NULL,
            PRIMARY KEY (job, name)
        )
        """,
    ]

    private static let credentialTables = [
        """
        CREATE TABLE api_token (
            hash TEXT NOT NULL PRIMARY KEY,
            principal TEXT NOT NULL,
            created_at BIGINT NOT NULL
        )
        """,
        """
        CREATE TABLE join_token (
            hash TEXT NOT NULL PRIMARY KEY,
            host TEXT NOT NULL,
            expires_at BIGINT NOT NULL,
            used_by TEXT,
            created_at BIGINT NOT NULL
        )
        """,
        "CREATE INDEX join_token_host ON join_token (host)",
    ]

    private static let logTables = [
        """
        CREATE TABLE counter (
            name TEXT NOT NULL PRIMARY KEY,
            value BIGINT NOT NULL
        )
        """,
        "INSERT INTO counter (name, value) VALUES ('event', 0)",
        """
        CREATE TABLE event (
            id BIGINT NOT NULL PRIMARY KEY,
            recorded_at BIGINT NOT NULL,
            kind TEXT NOT NULL,
            vm TEXT,
            host TEXT,
            job TEXT,
            epoch BIGINT,
            message TEXT NOT NULL,
            principal TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE request (
            request_key TEXT NOT NULL PRIMARY KEY,
            digest TEXT NOT NULL,
            resource TEXT NOT NULL,
            recorded_at BIGINT NOT NULL
        )
        """,
        "CREATE INDEX request_recorded ON request (recorded_at)",
    ]
}
