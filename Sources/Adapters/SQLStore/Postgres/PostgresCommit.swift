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
    private let writer: String?
    private let logger: Logger
    /// Which of this writer's commits this is going to be. A row keeps the latest one's, as a part of that commit.
    ///
    /// PostgreSQL's own numbers of transactions will not do: one that never reached the disk is given to another transaction
    /// after a crash, and `pg_xact_status` then tells of that one.
    private var number: Int64 = 0

    /// "roost", as a number.
    static let lock: Int64 = 0x72_6F_6F_73_74

    /// - Parameter writer: the name of the connection that writes; no other may ever use it. Nil while the database has no
    ///   tables yet.
    init(
        _ session: PostgresSession, writer: String?, clock: (any TimeSource)?, logger: Logger
    ) throws(PostgresError) {
        self.session = session
        connection = try session.connected()
        self.writer = writer
        self.clock = clock
        self.logger = logger
    }

    var sql: any SQLConnection { PostgresStatements(connection: connection, logger: logger) }

    func begin() throws -> Timestamp {
        try orLost { () throws(PostgresError) in
            queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            queue("SELECT pg_advisory_xact_lock(\(Self.lock))")
            // The time is the database's: nodes whose clocks differ agree on it.
            let time = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
            let answer =
                if let writer {
                    try connection.ask(
                        """
                        INSERT INTO writer (id, commits, committed_at) VALUES (?, 1, \(time)) ON CONFLICT (id) DO UPDATE
                        SET commits = writer.commits + 1, committed_at = excluded.committed_at
                        RETURNING commits, committed_at AS now
                        """, .text(writer))
                } else {
                    try connection.ask("SELECT 0::bigint AS commits, \(time) AS now")
                }
            guard case .integer(let number)? = answer.rows.first?["commits"],
                case .integer(let now)? = answer.rows.first?["now"]
            else { throw PostgresError(state: "XX000", message: "the commit was not numbered") }
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
    /// - Throws: `CommitUnknown` for whatever is no plain yes: a server that goes down may say so in answer to a commit that it
    ///   has kept.
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
            throw CommitUnknown(error: error)
        }
    }

    func rollBack() { session.rollBack() }

    /// Whether the commit whose answer was lost is kept, nil when that cannot be told.
    ///
    /// The writers' lock is waited for first: it is free when the lost transaction is over, whichever way.
    func isKept() throws(PostgresError) -> Bool? {
        session.rollBack()
        let connection = try session.connected()
        defer { session.rollBack() }
        connection.enqueue(PostgresConnection.Statement("BEGIN"))
        connection.enqueue(PostgresConnection.Statement("SELECT pg_advisory_xact_lock(\(Self.lock))"))
        let rows = try connection.ask("SELECT commits FROM writer WHERE id = ?", writer.map(SQLValue.text) ?? .null)
            .rows
        switch rows.first?["commits"] {
        case .integer(number)?: return true
        case .integer(number - 1)?: return false
        // Its first commit, or one after a pause in which the row was cleared away.
        case nil where number == 1: return false
        default: return nil
        }
    }

    /// Clears away what writers left behind that have been gone for longer than any of them asks.
    func forgetWriters() {
        queue(
            """
            DELETE FROM writer
            WHERE committed_at < (extract(epoch FROM clock_timestamp() - interval '1 day') * 1000)::bigint
            """)
    }

    private func queue(_ sql: String, isSavepoint: Bool = false) {
        connection.enqueue(PostgresConnection.Statement(sql, isSavepoint: isSavepoint))
    }

    private func orLost<Result>(_ body: () throws(PostgresError) -> Result) throws -> Result {
        do { return try body() } catch { throw session.lost(error) }
    }
}

/// The server did not say that it committed: it may have done so or not.
struct CommitUnknown: Error {
    let error: PostgresError
}
