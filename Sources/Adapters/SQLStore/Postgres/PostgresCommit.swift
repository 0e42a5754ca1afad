import Domain
import Logging

/// One transaction of the store's writer.
///
/// All writers of a database take one lock first, so that each sees what the one before has committed and none meets
/// another inside: what holds with SQLite's one writer holds with several nodes.
final class PostgresCommit: CommitConnection {
    private let session: PostgresSession
    private let connection: PostgresConnection
    private let clock: (any TimeSource)?
    private let logger: Logger
    /// The transaction's own number, by which the server can be asked later what became of it.
    private(set) var number: String?

    /// "roost", as a number.
    static let lock: Int64 = 0x72_6F_6F_73_74

    init(_ session: PostgresSession, clock: (any TimeSource)?, logger: Logger) throws(PostgresError) {
        self.session = session
        connection = try session.connected()
        self.clock = clock
        self.logger = logger
    }

    var sql: any SQLConnection { PostgresStatements(connection: connection, logger: logger) }

    func begin() throws -> Timestamp {
        try orLost { () throws(PostgresError) in
            queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            queue("SELECT pg_advisory_xact_lock(\(Self.lock))")
            // The time is the database's: nodes whose clocks differ agree on it.
            let answer = try connection.ask(
                """
                SELECT pg_current_xact_id()::text AS number,
                    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
                """)
            guard case .text(let number)? = answer.rows.first?["number"],
                case .integer(let now)? = answer.rows.first?["now"]
            else { throw PostgresError(state: "XX000", message: "no transaction number") }
            self.number = number
            return clock?.wall() ?? Timestamp(milliseconds: now)
        }
    }

    func savepoint() throws { queue("SAVEPOINT body", isSavepoint: true) }

    func release() throws { queue("RELEASE body") }

    func rollBackToSavepoint(after error: any Error) throws {
        // What was not sent yet has had no effect.
        if connection.dropQueuedSavepoint() { return }
        try orLost { () throws(PostgresError) in _ = try connection.ask("ROLLBACK TO body") }
        queue("RELEASE body")
    }

    /// Commits, and wakes the other nodes with `payload`.
    ///
    /// - Throws: `CommitUnknown` when the connection was lost before the server's answer.
    func commit(notifying payload: String?) throws {
        if let payload {
            connection.enqueue(
                try PostgresConnection.Statement(
                    "SELECT pg_notify('\(PostgresListener.channel)', ?)", [.text(payload)]))
        }
        do throws(PostgresError) {
            let answer = try connection.ask("COMMIT")
            guard answer.tag == "COMMIT" else {
                throw PostgresError(state: "25P02", message: "the transaction had failed before its commit")
            }
        } catch {
            if connection.isLost { throw CommitUnknown(error: error) }
            throw session.lost(error)
        }
    }

    func rollBack() { session.rollBack() }

    private func queue(_ sql: String, isSavepoint: Bool = false) {
        connection.enqueue(PostgresConnection.Statement(sql, isSavepoint: isSavepoint))
    }

    private func orLost<Result>(_ body: () throws(PostgresError) -> Result) throws -> Result {
        do { return try body() } catch { throw session.lost(error) }
    }
}

/// The connection was lost while the server committed: it may have done so or not.
struct CommitUnknown: Error {
    let error: PostgresError
}

/// What became of a transaction, as the server tells by its number.
enum CommitFate {
    case committed
    case notCommitted
    /// The server is not done with it, or does not remember.
    case unsettled

    init(of number: String, on connection: PostgresConnection) throws(PostgresError) {
        let answer = try connection.ask("SELECT pg_xact_status(CAST(CAST(? AS text) AS xid8)) AS fate", .text(number))
        switch answer.rows.first?["fate"] {
        case .text("committed"): self = .committed
        case .text("aborted"): self = .notCommitted
        default: self = .unsettled
        }
    }
}
