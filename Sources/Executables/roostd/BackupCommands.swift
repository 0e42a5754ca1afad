import ArgumentParser
import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import SQLStore

/// Where a server keeps what it has, for commands that work beside it.
struct ServerPlace: ParsableArguments {
    @Option(name: .long, help: "Where the server keeps its records and keys.")
    var dataDir = "/var/lib/roost"

    @Option(name: .long, help: "What the servers of one database share. (default: the data directory)")
    var sharedDir: String?

    @Option(name: .long, help: "The server's PostgreSQL database, if it has one.")
    var database: String?

    var keys: String { sharedDir ?? dataDir }
    var file: String { "\(dataDir)/roost.db" }

    func location() throws -> StoreLocation {
        guard let database else { return .sqlite(path: file) }
        guard let location = StoreLocation(url: database) else {
            throw ValidationError("--database: it is no URL that begins with postgres:// or postgresql://.")
        }
        return location
    }

    /// What a server needs besides its records, by the names in its directory.
    static let keptFiles = [("ca/ca.key", 0o600), ("ca/ca.crt", 0o644), ("admin.token", 0o600)]
}

/// Runs `body`, and says of a fault what it says.
private func reporting(_ body: () async throws -> Void) async throws {
    LoggingSystem.bootstrap { _ in LogText(level: .critical) }
    do { try await body() } catch let error as Fault { throw StartFailure(error.message, error.hint) }
}

struct Backup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy the records and the keys into one file, while the server runs.",
        discussion: """
            The file holds the records, the certificate authority's key and the admin token: keep it as you keep those. \
            Not in it: image files (DATA-DIR/images), the API's TLS key, and the guests' disks.
            """)

    @Option(name: .long, help: "The new file. One that is there is not replaced.") var to: String
    @OptionGroup var place: ServerPlace

    func run() async throws {
        try await reporting {
            guard place.database == nil else {
                throw Fault(
                    .conflict, .invalidState, "A PostgreSQL database is backed up with PostgreSQL's own tools.",
                    hint: "pg_dump --format=custom --file=\(to) URL, and copy \(place.keys)/ca and "
                        + "\(place.keys)/admin.token. After pg_restore: roostd mark-restored --database URL.")
            }
            let files = try ServerPlace.keptFiles.map { name, mode in
                let path = "\(place.keys)/\(name)"
                guard let bytes = FileManager.default.contents(atPath: path) else {
                    throw Fault(
                        .notFound, .notFound, "The file \(path) cannot be read.",
                        hint: "Name the server's --data-dir, and run this as the server's user.")
                }
                return SQLiteBackup.KeptFile(name: name, bytes: Array(bytes), mode: mode)
            }
            try await SQLiteBackup.make(
                of: place.file, to: to, with: files, release: Release.version,
                madeAt: Date().formatted(.iso8601), clock: SystemTime(), logger: Logger(label: "roostd"))
            print("Backed up \(place.file) and the server's keys to \(to).")
        }
    }
}

struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a server's data directory anew from a backup.",
        discussion: """
            The server then only observes: see 'roost recover'. Copy the image files back too, before a VM is to start \
            from one.
            """)

    @Option(name: .long, help: "A file that 'roostd backup' made.") var from: String
    @OptionGroup var place: ServerPlace

    func run() async throws {
        try await reporting {
            guard place.database == nil else {
                throw Fault(
                    .conflict, .invalidState, "A PostgreSQL database is restored with PostgreSQL's own tools.",
                    hint: "pg_restore it into an empty database, then: roostd mark-restored --database URL.")
            }
            let logger = Logger(label: "roostd")
            let backup = try SQLiteBackup(opening: from, logger: logger)
            let lock = try DataDirectoryLock(directory: place.dataDir, mode: 0o700)
            defer { withExtendedLifetime(lock) {} }
            guard !FileManager.default.fileExists(atPath: place.file) else {
                throw Fault(
                    .conflict, .invalidState, "There is a database in \(place.dataDir) already.",
                    hint: "Nothing is replaced: name an empty --data-dir, or move the old one away.")
            }
            // The database comes last: without it the restore can be done again.
            for file in backup.files { try put(file) }
            try backup.restore(to: place.file, logger: logger)
            print(
                "Restored \(place.dataDir) as it was at "
                    + "\(Date(timeIntervalSince1970: Double(backup.madeAt.milliseconds) / 1000).formatted(.iso8601)). Start "
                    + "roostd: it only observes, until 'roost recover --accept'.")
        }
    }

    private func put(_ file: SQLiteBackup.KeptFile) throws {
        guard ServerPlace.keptFiles.contains(where: { $0.0 == file.name }) else { return }
        let path = "\(place.keys)/\(file.name)"
        if let there = FileManager.default.contents(atPath: path) {
            guard Array(there) == file.bytes else {
                throw Fault(
                    .conflict, .invalidState, "\(path) is there already, and is another one.",
                    hint: "Nothing is replaced: name an empty directory, or move the file away.")
            }
            return
        }
        let folder = URL(filePath: path).deletingLastPathComponent().path()
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try PrivateFile.write(file.bytes, to: path, mode: mode_t(file.mode))
    }
}

struct MarkRestored: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mark-restored",
        abstract: "Tell a database that it was brought back from an older copy, by other means than 'roostd restore'.",
        discussion: "The servers on it then only observe: see 'roost recover'.")

    @OptionGroup var place: ServerPlace

    func run() async throws {
        try await reporting {
            let location = try place.location()
            var lock: DataDirectoryLock?
            if place.database == nil {
                guard FileManager.default.fileExists(atPath: place.file) else {
                    throw Fault(
                        .notFound, .notFound, "There is no database at \(place.file).",
                        hint: "Name the server's --data-dir, or --database.")
                }
                lock = try DataDirectoryLock(directory: place.dataDir, mode: 0o700)
            }
            defer { withExtendedLifetime(lock) {} }
            let store = try location.open(
                clock: SystemTime(), faults: NoFaultPoints(), logger: Logger(label: "roostd"),
                onCommit: { _, _ in }, onNotice: { _ in })
            defer { store.close() }
            try await store.write("recovery.mark") { tx in
                try tx.beginRecovery("The records were restored from an older copy.", isCopy: true)
            }
            print("The records are marked as restored: servers only observe, until 'roost recover --accept'.")
        }
    }
}
