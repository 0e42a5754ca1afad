import ControlPlane
import Domain

/// All tables over one connection: the same SQL for every driver. The tables' methods stand beside their rows, in
/// `Queries`.
///
/// Several bodies may share it. What they end and tell of is put off then and written together, many rows to a statement;
/// whoever looks at such a table finds it written. It remembers what the driver tells others after the commit.
final class SQLTransaction: Transaction {
    let now: Timestamp
    /// Events that were written, in order.
    private(set) var events: [NumberedEvent] = []
    /// Whether a body wrote a job, other than by claiming it.
    private(set) var jobsTouched = false
    /// Whether the body that runs has left something in the database, or may have.
    private(set) var hasWritten = false

    private let connection: any SQLConnection
    /// Whether ends and events are put off.
    private let defers: Bool
    private var ends: [LeasedEnd] = []
    private var untold: [Event] = []

    /// - Parameter deferring: whether the caller calls `finish` when the bodies are done, and has them all run again without
    ///   it if that throws `PrematureEnd`.
    init(_ connection: any SQLConnection, now: Timestamp, deferring: Bool = false) {
        self.connection = connection
        self.now = now
        defers = deferring
    }

    /// The connection, with all that was put off carried out.
    var sql: any SQLConnection {
        get throws {
            try finish()
            return records
        }
    }

    /// The connection for statements on tables of which nothing is ever put off.
    var records: any SQLConnection { NotingConnection(connection: connection, transaction: self) }

    func noteJobs() { jobsTouched = true }

    // MARK: Bodies

    /// What was put off when a body began.
    struct Mark {
        fileprivate let ends: Int
        fileprivate let events: Int
    }

    func beginBody() -> Mark {
        hasWritten = false
        return Mark(ends: ends.count, events: untold.count)
    }

    /// Forgets what a body put off that has written nothing.
    func takeBack(to mark: Mark) {
        ends.removeSubrange(mark.ends...)
        untold.removeSubrange(mark.events...)
    }

    // MARK: What is put off

    /// Ends a job; false if the lease is lost. Where that is put off it is not known yet: then `finish` throws `PrematureEnd`.
    func end(_ end: LeasedEnd) throws -> Bool {
        noteJobs()
        guard !defers else {
            ends.append(end)
            return true
        }
        return try JobEnds.write([end], at: now, on: records) == 1
    }

    func tell(_ event: Event) throws {
        untold.append(event)
        if !defers { try finish() }
    }

    /// Writes what was put off.
    func finish() throws {
        if !ends.isEmpty {
            let due = ends
            ends.removeAll()
            guard try JobEnds.write(due, at: now, on: records) == due.count else { throw PrematureEnd() }
        }
        if !untold.isEmpty {
            let due = untold
            untold.removeAll()
            events += try EventRows.write(due, at: now, on: records)
        }
    }

    fileprivate func noteWrite() { hasWritten = true }
}

/// A body was told that it ended a job whose lease was lost.
struct PrematureEnd: Error {}

/// Notes whether a statement may have left something behind.
private struct NotingConnection: SQLConnection {
    let connection: any SQLConnection
    let transaction: SQLTransaction

    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int {
        transaction.noteWrite()
        return try connection.execute(sql, arguments)
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [SQLRow] {
        guard sql.utf8.starts(with: "SELECT".utf8) else {
            transaction.noteWrite()
            return try connection.query(sql, arguments)
        }
        do { return try connection.query(sql, arguments) } catch {
            // Some databases are done with a transaction after any failure.
            transaction.noteWrite()
            throw error
        }
    }

    func perform(_ sql: String, _ arguments: [SQLValue]) throws {
        transaction.noteWrite()
        try connection.perform(sql, arguments)
    }
}
