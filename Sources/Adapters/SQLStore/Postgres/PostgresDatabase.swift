package import ControlPlane
package import Domain
import Foundation
package import Logging
import Synchronization

/// The store in a PostgreSQL database, which several nodes may share.
///
/// All writes of a node go through one connection, and those that wait while a commit is under way share the next one. A
/// write whose caller is cancelled runs all the same, and its caller gets the result. A database that is restarted is
/// waited for: what was under way is done again, and a commit whose answer was lost is asked for by its number.
package final class PostgresDatabase: ControlPlane.Database {
    private let url: String
    private let clock: (any TimeSource)?
    private let logger: Logger
    private let queue = CommitQueue()
    private let group: GroupCommit
    private let writer: PostgresLane
    private let readers: PostgresReaders
    private let listener: PostgresListener
    private let tag: String
    private let patience: Duration

    /// How many writes share a commit at most: those that end what was leased together, and as many others.
    private static let batchMax = 1024
    private static let retryPause: UInt32 = 100_000  // microseconds

    /// Opens the database at `url`, whose form is libpq's, and brings its schema up to date.
    ///
    /// Throws a fault in words for the operator if it cannot be used. `onCommit` is called after each durable commit, in the
    /// order of commits, with the events that it added; it must neither block nor use the store. `onNotice` is called when
    /// another node has committed.
    ///
    /// - Parameters:
    ///   - clock: what rows are dated by; nil, the database's own clock, where several nodes share it.
    ///   - patience: how long a write or a read goes on trying while the database cannot be reached.
    package init(
        url: String, clock: (any TimeSource)? = nil, patience: Duration = .seconds(20), faults: any FaultPoints,
        logger: Logger, onCommit: @escaping @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void,
        onNotice: @escaping @Sendable (_ jobsTouched: Bool) -> Void
    ) throws {
        self.url = url
        self.clock = clock
        self.patience = patience
        self.logger = logger
        group = GroupCommit(faults: faults, logger: logger, onCommit: onCommit)
        try Self.migrate(url, clock, logger)
        writer = PostgresLane(url: url, label: "roost.store.writer", isWriter: true, logger: logger)
        readers = PostgresReaders(url: url, logger: logger)
        tag = UUID().uuidString
        listener = PostgresListener(url: url, tag: tag, logger: logger, onNotice: onNotice)
    }

    /// How many commits and how many bodies in them there were since the store was opened.
    package var commitCounts: (commits: Int, bodies: Int) {
        let counts = group.counts
        return (counts.commits, counts.bodies)
    }

    /// How many writes wait for the next commit.
    package var waitingWrites: Int { queue.count }

    package func write<Result: Sendable>(
        _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { caller in
            let write = PendingWrite(label, body, caller)
            switch queue.add(write) {
            case .queued: break
            case .queuedUnserved: serve()
            case .closed: write.fail(StoreFault.closed)
            }
        }
    }

    package func read<Result: Sendable>(
        _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { caller in
            let isAdmitted = readers.run { [clock, logger, patience] session in
                caller.resume(with: .init { try Self.read(body, on: session, clock, patience, logger) })
            }
            if !isAdmitted { caller.resume(throwing: StoreFault.closed) }
        }
    }

    /// Carries out what has been accepted, then closes the connections. Whatever comes later fails with
    /// `store-unavailable`. Blocks until then. May be called again.
    package func close() {
        queue.close()
        writer.finish { [self] session in
            while serveOnce(session) {}
            session.close()
        }
        readers.close()
        listener.close()
    }

    private func serve() {
        writer.run { [self] session in
            while serveOnce(session) {}
        }
    }

    /// False when nothing waited.
    private func serveOnce(_ session: PostgresSession) -> Bool {
        let batch = queue.take(atMost: Self.batchMax)
        if batch.isEmpty { return false }
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                try commit(batch, on: session, until: deadline)
                return true
            } catch {
                guard error.isPassing, ContinuousClock.now < deadline else {
                    group.giveUp(batch, error.fault)
                    return true
                }
                usleep(Self.retryPause)
            }
        }
    }

    private func commit(
        _ batch: [PendingWrite], on session: PostgresSession, until deadline: ContinuousClock.Instant
    ) throws(TransactionLost) {
        let connection: PostgresCommit
        do throws(PostgresError) {
            connection = try PostgresCommit(session, writer: tag, clock: clock, logger: logger)
        } catch {
            throw session.lost(error)
        }
        let ready = try group.run(batch, on: connection)
        if !ready.isEmpty {
            do {
                try connection.commit(
                    notifying: tag + (ready.jobsTouched ? PostgresListener.jobs : PostgresListener.records))
            } catch let unknown as CommitUnknown {
                try settle(connection, unknown, on: session, until: deadline)
            } catch {
                connection.rollBack()
                throw error as? TransactionLost ?? TransactionLost(fault: StoreFault.unforeseen)
            }
        }
        group.finish(ready)
    }

    /// Returns if the transaction was committed after all.
    private func settle(
        _ commit: PostgresCommit, _ unknown: CommitUnknown, on session: PostgresSession,
        until deadline: ContinuousClock.Instant
    ) throws(TransactionLost) {
        while ContinuousClock.now < deadline {
            let isKept: Bool?
            do throws(PostgresError) { isKept = try commit.isKept() } catch {
                logger.warning("cannot ask what became of a commit", metadata: ["error": "\(error.message)"])
                usleep(Self.retryPause)
                continue
            }
            switch isKept {
            case true?: return
            case false?: throw session.lost(unknown.error)
            case nil: throw TransactionLost(fault: StoreFault.commitUnknown)
            }
        }
        // It may have been committed: nobody may do it again.
        throw TransactionLost(fault: StoreFault.commitUnknown)
    }

    private static func read<Result>(
        _ body: (any Transaction) throws -> Result, on session: PostgresSession, _ clock: (any TimeSource)?,
        _ patience: Duration, _ logger: Logger
    ) throws -> Result {
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                return try readOnce(body, on: session, clock, logger)
            } catch let lost as TransactionLost {
                session.rollBack()
                guard lost.isPassing, ContinuousClock.now < deadline else { throw lost.fault }
                usleep(retryPause)
            } catch {
                session.rollBack()
                throw error is UniqueViolation ? StoreFault.writeInRead : error
            }
        }
    }

    private static func readOnce<Result>(
        _ body: (any Transaction) throws -> Result, on session: PostgresSession, _ clock: (any TimeSource)?,
        _ logger: Logger
    ) throws -> Result {
        let connection: PostgresConnection
        let now: Timestamp
        do throws(PostgresError) {
            connection = try session.connected()
            connection.enqueue(PostgresConnection.Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            let answer = try connection.ask("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now")
            guard case .integer(let time)? = answer.rows.first?["now"] else {
                throw PostgresError(state: "XX000", message: "no time")
            }
            now = clock?.wall() ?? Timestamp(milliseconds: time)
        } catch {
            throw session.lost(error)
        }
        let sql = PostgresStatements(connection: connection, logger: logger, isReadOnly: true)
        let result = try body(SQLTransaction(sql, now: now))
        do throws(PostgresError) { _ = try connection.ask("COMMIT") } catch { throw session.lost(error) }
        return result
    }

    private static func migrate(_ url: String, _ clock: (any TimeSource)?, _ logger: Logger) throws {
        let session = PostgresSession(url: url, logger: logger)
        defer { session.close() }
        do throws(PostgresError) { _ = try session.connected() } catch { throw error.openingFault }
        do {
            let commit = try PostgresCommit(session, writer: nil, clock: clock, logger: logger)
            let now = try commit.begin()
            let applied = try Schema.migrate(PostgresDDL(statements: commit.sql), now: now)
            if !applied.isEmpty {
                // Room beside each row for its next version: taking a job up writes no index then.
                try commit.sql.execute("ALTER TABLE job SET (fillfactor = 50)")
            }
            commit.forgetWriters()
            try commit.commit(notifying: nil)
            if !applied.isEmpty {
                logger.info("brought the database's schema up to date", metadata: ["migrations": "\(applied)"])
            }
        } catch {
            session.rollBack()
            switch error {
            case let lost as TransactionLost: throw lost.fault
            case let unknown as CommitUnknown: throw unknown.error.fault(logger)
            case let error as PostgresError: throw error.fault(logger)
            default: throw error
            }
        }
    }
}

/// The schema's statements as PostgreSQL takes them: text is compared by its bytes, as SQLite does, whatever the
/// database's locale.
struct PostgresDDL: SQLConnection {
    let statements: any SQLConnection

    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int {
        let isDefinition = sql.hasPrefix("CREATE TABLE") || sql.hasPrefix("ALTER TABLE")
        return try statements.execute(
            isDefinition ? sql.replacing(" TEXT", with: " TEXT COLLATE \"C\"") : sql, arguments)
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [SQLRow] { try statements.query(sql, arguments) }
}
