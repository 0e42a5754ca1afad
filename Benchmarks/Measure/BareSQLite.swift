import Foundation
import GRDBSQLite

/// The plainest durable writer: one row, one connection, one commit a change, `synchronous=FULL`.
final class BareSQLite {
    private var database: OpaquePointer?
    private var update: OpaquePointer?

    init(path: String) throws {
        try check(sqlite3_open(path, &database))
        for statement in [
            "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
            "CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)",
            "INSERT OR IGNORE INTO counter VALUES (1, 0)",
        ] {
            try check(sqlite3_exec(database, statement, nil, nil, nil))
        }
        try check(sqlite3_prepare_v2(database, "UPDATE counter SET value = value + 1 WHERE id = 1", -1, &update, nil))
    }

    deinit {
        sqlite3_finalize(update)
        sqlite3_close(database)
    }

    /// Commits one change.
    func change() throws {
        let result = sqlite3_step(update)
        guard result == SQLITE_DONE else { return try check(result) }
        try check(sqlite3_reset(update))
    }

    private func check(_ result: Int32) throws {
        guard result == SQLITE_OK else { throw MeasureFailed("SQLite: \(String(cString: sqlite3_errstr(result)))") }
    }
}
