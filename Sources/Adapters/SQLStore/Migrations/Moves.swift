extension Migration {
    /// A VM's move: its other end, which host it waits for there, and jobs that two hosts wake.
    static let moves = Migration(
        2, "moves",
        [
            "ALTER TABLE vm ADD COLUMN destination_host TEXT",
            "ALTER TABLE vm ADD COLUMN destination_epoch BIGINT CHECK (destination_epoch <= epoch)",
            "ALTER TABLE vm ADD COLUMN destination_wait_reason TEXT",
            "ALTER TABLE vm ADD COLUMN last_epoch BIGINT",
            // Until now every grant was a placement, so the last one has the highest epoch.
            "UPDATE vm SET last_epoch = epoch WHERE last_host IS NOT NULL",
            "CREATE INDEX vm_destination ON vm (destination_host) WHERE destination_host IS NOT NULL",
            "ALTER TABLE job ADD COLUMN peer TEXT",
            "CREATE INDEX job_peer ON job (peer) WHERE peer IS NOT NULL",
        ])
}
