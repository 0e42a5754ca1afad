import Domain
import GRDB
import Logging

/// What an error of SQLite means to the reader. SQLite's own words go to the log only.
enum SQLiteFault {
    /// The fault of `error`, which is logged. `path` names the file where the reader is its operator.
    static func fault(of error: any Error, opening path: String? = nil, _ logger: Logger) -> Fault {
        if let fault = error as? Fault { return fault }
        logger.error("the database failed", metadata: ["error": "\(error)"])
        guard let code = (error as? DatabaseError)?.resultCode else { return unavailable("failed", path, nil) }
        switch code {
        case .SQLITE_FULL:
            return unavailable("cannot be written: its disk is full", path, "Free some space on the server's disk.")
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
            return unavailable("cannot be written", path, "Give roostd the right to write its data directory.")
        case .SQLITE_CANTOPEN:
            return unavailable(
                "cannot be opened", path, "See that its directory exists and that roostd may read and write it.")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return unavailable("is damaged, or is no database at all", path, "Restore it from a backup.")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return unavailable("is held by another process", path, "See that only one roostd uses it, and try again.")
        case .SQLITE_IOERR, .SQLITE_NOLFS, .SQLITE_PROTOCOL:
            return unavailable("cannot be read or written", path, "See the server's log, and check its disk.")
        case .SQLITE_NOMEM:
            return unavailable("ran out of memory", path, "Give the server more memory, and try again.")
        case .SQLITE_CONSTRAINT:
            return StoreFault.contradiction
        case .SQLITE_MISUSE where path == nil && isClosed(error): return StoreFault.closed
        default:
            return path == nil ? StoreFault.unforeseen : unavailable("cannot be opened", path, "See the server's log.")
        }
    }

    private static func unavailable(_ what: String, _ path: String?, _ hint: String?) -> Fault {
        let subject = path.map { "The database '\($0)'" } ?? "The database"
        return Fault(.unavailable, .storeUnavailable, "\(subject) \(what).", hint: hint ?? "See the server's log.")
    }

    private static func isClosed(_ error: any Error) -> Bool {
        (error as? DatabaseError)?.message?.contains("closed") ?? false
    }
}
