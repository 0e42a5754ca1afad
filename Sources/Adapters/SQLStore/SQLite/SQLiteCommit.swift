import Domain
import GRDB
import Logging

/// The one writing connection of an SQLite store, while it serves a batch.
final class SQLiteCommit: CommitConnection {
    private let database: GRDB.Database
    private let clock: any TimeSource
    private let logger: Logger

    init(database: GRDB.Database, clock: any TimeSource, logger: Logger) {
        self.database = database
        self.clock = clock
        self.logger = logger
    }

    var sql: any SQLConnection { SQLiteConnection(database: database, logger: logger) }

    func begin() throws -> Timestamp {
        try orLost { try database.beginTransaction(.immediate) }
        return clock.wall()
    }

    func savepoint() throws { try execute("SAVEPOINT body") }

    func release() throws { try execute("RELEASE body") }

    func rollBackToSavepoint(after error: any Error) throws {
        // SQLite ends the whole transaction by itself after some errors, such as a full disk.
        guard database.isInsideTransaction else {
            throw TransactionLost(fault: SQLiteFault.fault(of: error, logger))
        }
        try execute("ROLLBACK TO body")
        try execute("RELEASE body")
    }

    func commit() throws { try orLost { try database.commit() } }

    func rollBack() {
        guard database.isInsideTransaction else { return }
        do {
            try database.rollback()
        } catch {
            logger.error("a transaction could not be rolled back", metadata: ["error": "\(error)"])
        }
    }

    private func execute(_ sql: String) throws {
        try orLost { try database.cachedStatement(sql: sql).execute() }
    }

    private func orLost(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            throw TransactionLost(fault: SQLiteFault.fault(of: error, logger))
        }
    }
}
