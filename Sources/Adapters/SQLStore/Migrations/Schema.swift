import Domain

/// The database's shape: brought up to date when the store opens, never changed otherwise.
enum Schema {
    /// In order. A migration that was released is never changed: databases have run it.
    static let migrations: [Migration] = [.records, .moves, .placement, .keptVMs, .parkedJobs, .nodes, .jobLeases]

    static var newest: Int { migrations.map(\.version).max() ?? 0 }

    /// Runs what this database has not run yet, inside the caller's transaction; returns the names of what ran.
    ///
    /// A database from a newer release is left as it is: worked on if that release says that this one may, else refused.
    ///
    /// - Parameter last: the version to stop at; nil for the newest.
    static func migrate(_ sql: any SQLConnection, now: Timestamp, upTo last: Int? = nil) throws -> [String] {
        try sql.execute(
            """
            CREATE TABLE IF NOT EXISTS schema_version (
                version BIGINT NOT NULL PRIMARY KEY,
                name TEXT NOT NULL,
                applied_at BIGINT NOT NULL
            )
            """)
        let rows = try sql.query("SELECT COALESCE(MAX(version), 0) AS version FROM schema_version")
        let present = try rows.first.map { try RowReader("schema", key: "version", $0).int("version") } ?? 0
        try sql.execute(
            """
            CREATE TABLE IF NOT EXISTS schema_reader (version BIGINT NOT NULL PRIMARY KEY, oldest BIGINT NOT NULL)
            """)
        if present > newest, try isReadable(sql) { return [] }
        guard present <= newest else {
            throw Fault(
                .unavailable, .storeUnavailable,
                "The database is from a newer release of Roost: its schema has version \(present), and this release "
                    + "knows versions up to \(newest).",
                hint: "Run that newer release, or restore a backup that this release made.")
        }
        let due = migrations.filter { $0.version > present && $0.version <= last ?? newest }
        for migration in due {
            try migration.apply(to: sql)
            try sql.execute(
                "INSERT INTO schema_version (version, name, applied_at) VALUES (?, ?, ?)",
                SQLValue(migration.version), SQLValue(migration.name), SQLValue(now))
            try sql.execute(
                "INSERT INTO schema_reader (version, oldest) VALUES (?, ?)", SQLValue(migration.version),
                SQLValue(migration.oldestReader))
        }
        return due.map(\.name)
    }

    /// Whether every step that this release does not know says that this release may work on what it made.
    private static func isReadable(_ sql: any SQLConnection) throws -> Bool {
        try sql.query(
            """
            SELECT version FROM schema_version WHERE version > ? AND version NOT IN
                (SELECT version FROM schema_reader WHERE oldest <= ?)
            """, SQLValue(newest), SQLValue(newest)
        ).isEmpty
    }
}
