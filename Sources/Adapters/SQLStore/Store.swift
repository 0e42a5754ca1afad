package import ControlPlane
package import Domain
package import Logging

/// A database that is open.
package protocol Store: ControlPlane.Database {
    /// Carries out what has been accepted, then lets go of the database. Blocks until then; may be called again.
    func close()
}

extension SQLiteDatabase: Store {}
extension PostgresDatabase: Store {}

/// Where the records are kept.
package enum StoreLocation: Hashable, Sendable {
    case sqlite(path: String)
    /// A `postgres://` URL, as libpq reads it: passwords, TLS and the rest by its usual settings.
    case postgres(url: String)

    /// The location that `--database` names, or nil if it is none.
    package init?(url: String) {
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else { return nil }
        self = .postgres(url: url)
    }

    /// Opens the database and brings its schema up to date; throws a fault in words for the operator if it cannot be used.
    ///
    /// - Parameters:
    ///   - onCommit: called after each of this process's commits, with the events that it added.
    ///   - onNotice: called when another process has committed.
    package func open(
        clock: any TimeSource, faults: any FaultPoints, logger: Logger,
        onCommit: @escaping @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void,
        onNotice: @escaping @Sendable (_ jobsTouched: Bool) -> Void
    ) throws -> any Store {
        switch self {
        case .sqlite(let path):
            try SQLiteDatabase(path: path, clock: clock, faults: faults, logger: logger, onCommit: onCommit)
        case .postgres(let url):
            try PostgresDatabase(url: url, faults: faults, logger: logger, onCommit: onCommit, onNotice: onNotice)
        }
    }
}
