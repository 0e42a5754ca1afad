package import ControlPlane
package import Domain
import Foundation
import GRDB
package import Logging

/// A copy of an SQLite database in one file, itself an SQLite database, with the files that go with it.
///
/// The copy says of itself that it is one: a server that works on it, however it was put in place, only observes.
package struct SQLiteBackup: Sendable {
    /// A file besides the database, by its name relative to the server's directory.
    package struct KeptFile: Hashable, Sendable {
        package let name: String
        package let bytes: [UInt8]
        package let mode: Int

        package init(name: String, bytes: [UInt8], mode: Int) {
            self.name = name
            self.bytes = bytes
            self.mode = mode
        }
    }

    private static let format = 1

    package let path: String
    package let madeAt: Timestamp
    /// The release that made it.
    package let release: String
    package let files: [KeptFile]

    // MARK: Making one

    /// Copies the database at `source`, which a server may be using, to the new file `target`, mode 0600. On return the
    /// copy is on disk; what was there before under that name is never replaced.
    package static func make(
        of source: String, to target: String, with files: [KeptFile], release: String, madeAt text: String,
        clock: any TimeSource, logger: Logger
    ) async throws {
        guard access(source, F_OK) == 0 else {
            throw Fault(
                .notFound, .notFound, "There is no database at \(source).", hint: "Name the server's --data-dir.")
        }
        guard access(target, F_OK) != 0 else { throw taken(target) }
        let draft = "\(target).part"
        let made = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard made >= 0 else {
            throw errno == EEXIST
                ? taken(draft)
                : Fault(
                    .unavailable, .storeUnavailable, "\(draft) cannot be made: \(String(cString: strerror(errno))).")
        }
        close(made)
        defer { for suffix in ["", "-wal", "-shm", "-journal"] { unlink(draft + suffix) } }
        do {
            try copy(source, to: draft)
            try await mark(draft, "The records were restored from the backup of \(text).", clock: clock, logger: logger)
            try add(files, to: draft, release: release, madeAt: clock.wall())
        } catch {
            throw SQLiteFault.fault(of: error, opening: source, logger)
        }
        try sync(draft)
        guard link(draft, target) == 0 else {
            throw errno == EEXIST
                ? taken(target)
                : Fault(
                    .unavailable, .storeUnavailable, "\(target) cannot be made: \(String(cString: strerror(errno))).")
        }
        try sync(directory(of: target))
    }

    /// One consistent state, whatever is written meanwhile.
    private static func copy(_ source: String, to draft: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        let queue = try DatabaseQueue(path: source, configuration: configuration)
        defer { try? queue.close() }
        try queue.writeWithoutTransaction { database in
            let version = try Int.fetchOne(database, sql: "SELECT MAX(version) FROM schema_version") ?? 0
            guard version == Schema.newest else {
                throw Fault(
                    .conflict, .storeUnavailable,
                    "The database's schema has version \(version), and this release's is \(Schema.newest).",
                    hint: "Use the roostd that the server runs.")
            }
            try database.execute(sql: "VACUUM INTO ?", arguments: [draft])
        }
    }

    private static func mark(
        _ draft: String, _ reason: String, clock: any TimeSource, logger: Logger
    ) async throws {
        let store = try SQLiteDatabase(
            path: draft, clock: clock, faults: NoFaultPoints(), logger: logger, onCommit: { _, _ in })
        defer { store.close() }
        try await store.write("backup.mark") { tx in try tx.beginRecovery(reason, isCopy: true) }
    }

    private static func add(_ files: [KeptFile], to draft: String, release: String, madeAt: Timestamp) throws {
        let queue = try DatabaseQueue(path: draft)
        defer { try? queue.close() }
        try queue.writeWithoutTransaction { database in
            // Nothing of it is beside the one file.
            try database.execute(sql: "PRAGMA journal_mode = DELETE")
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.inTransaction {
                try forget(in: database)
                try database.execute(
                    sql: """
                        CREATE TABLE backup (format INTEGER NOT NULL, made_at INTEGER NOT NULL, release TEXT NOT NULL);
                        CREATE TABLE backup_file (name TEXT NOT NULL PRIMARY KEY, mode INTEGER NOT NULL, content BLOB NOT NULL);
                        """)
                try database.execute(
                    sql: "INSERT INTO backup (format, made_at, release) VALUES (?, ?, ?)",
                    arguments: [format, madeAt.milliseconds, release])
                for file in files {
                    try database.execute(
                        sql: "INSERT INTO backup_file (name, mode, content) VALUES (?, ?, ?)",
                        arguments: [file.name, file.mode, SQLValue.blob(file.bytes).databaseValue])
                }
                return .commit
            }
        }
    }

    private static func forget(in database: GRDB.Database) throws {
        try database.execute(sql: "DROP TABLE IF EXISTS backup; DROP TABLE IF EXISTS backup_file;")
    }

    // MARK: Going back to one

    /// Reads and checks the backup at `path`; throws a fault in words for the operator if it cannot be used.
    package init(opening path: String, logger: Logger) throws {
        guard access(path, R_OK) == 0 else {
            throw Fault(
                .notFound, .notFound, "The backup \(path) cannot be read: \(String(cString: strerror(errno))).",
                hint: "Check --from.")
        }
        do {
            let queue = try Self.reading(path)
            defer { try? queue.close() }
            let (format, made, release, files) = try queue.read { database in try Self.contents(of: database, path) }
            guard format == Self.format else {
                throw Fault(
                    .conflict, .storeUnavailable, "The backup \(path) is from a newer release of Roost (\(release)).",
                    hint: "Restore it with that release.")
            }
            (self.path, madeAt, self.release, self.files) = (path, made, release, files)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_NOTADB {
            throw Self.noBackup(path)
        } catch {
            throw SQLiteFault.fault(of: error, opening: path, logger)
        }
    }

    /// Makes the database of this backup the new file `database`. On return it is on disk.
    package func restore(to database: String, logger: Logger) throws {
        guard access(database, F_OK) != 0 else { throw Self.taken(database) }
        let draft = "\(database).part"
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(draft + suffix) }
        let made = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard made >= 0 else {
            throw Fault(
                .unavailable, .storeUnavailable, "\(draft) cannot be made: \(String(cString: strerror(errno))).")
        }
        close(made)
        defer { unlink(draft) }
        do {
            let source = try Self.reading(path)
            defer { try? source.close() }
            try source.writeWithoutTransaction { try $0.execute(sql: "VACUUM INTO ?", arguments: [draft]) }
            let queue = try DatabaseQueue(path: draft)
            defer { try? queue.close() }
            try queue.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA secure_delete = ON")
                try Self.forget(in: database)
            }
        } catch {
            throw SQLiteFault.fault(of: error, opening: path, logger)
        }
        try Self.sync(draft)
        guard link(draft, database) == 0 else { throw Self.taken(database) }
        try Self.sync(Self.directory(of: database))
    }

    private static func reading(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    private static func contents(
        of database: GRDB.Database, _ path: String
    ) throws -> (format: Int, madeAt: Timestamp, release: String, files: [KeptFile]) {
        guard try database.tableExists("backup"), try database.tableExists("schema_version"),
            let row = try Row.fetchOne(database, sql: "SELECT format, made_at, release FROM backup")
        else { throw noBackup(path) }
        let verdict = try String.fetchOne(database, sql: "PRAGMA integrity_check") ?? ""
        guard verdict == "ok" else {
            throw Fault(
                .unavailable, .storeUnavailable, "The backup \(path) is damaged: \(verdict.prefix(200))",
                hint: "Use another one.")
        }
        let version = try Int.fetchOne(database, sql: "SELECT MAX(version) FROM schema_version") ?? 0
        guard version <= Schema.newest else {
            throw Fault(
                .conflict, .storeUnavailable,
                "The backup \(path) is from a newer release of Roost: its schema has version \(version), and this release "
                    + "knows versions up to \(Schema.newest).", hint: "Restore it with that release.")
        }
        let files = try Row.fetchAll(database, sql: "SELECT name, mode, content FROM backup_file ORDER BY name").map {
            KeptFile(name: $0["name"], bytes: Array($0["content"] as Data), mode: $0["mode"])
        }
        return (row["format"], Timestamp(milliseconds: row["made_at"]), row["release"], files)
    }

    // MARK: Files

    private static func noBackup(_ path: String) -> Fault {
        Fault(.invalid, .storeUnavailable, "\(path) is no backup that roostd made.", hint: "Check --from.")
    }

    private static func taken(_ path: String) -> Fault {
        Fault(
            .conflict, .invalidState, "\(path) is there already.",
            hint: "Nothing is replaced: name another, or move it.")
    }

    private static func directory(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    private static func sync(_ path: String) throws(Fault) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw Fault(
                .unavailable, .storeUnavailable, "\(path) cannot be written: \(String(cString: strerror(errno))).",
                hint: "Check the disk.")
        }
    }
}
