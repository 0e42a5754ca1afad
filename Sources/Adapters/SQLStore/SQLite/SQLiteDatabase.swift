package import ControlPlane
package import Domain
import GRDB
package import Logging

/// The store on one SQLite file, or in memory.
///
/// All writes go through one connection, and those that wait while a commit is under way share the next one. A write
/// whose caller is cancelled runs all the same, and its caller gets the result.
package final class SQLiteDatabase: ControlPlane.Database {
    private let connections: Connections
    private let queue = CommitQueue()
    private let group: GroupCommit
    private let clock: any TimeSource
    private let logger: Logger

    private enum Connections {
        /// One writer and several readers, each on a snapshot.
        case file(DatabasePool)
        /// One connection, used on the caller's own thread: nothing happens behind the back of an executor's owner.
        case memory(DatabaseQueue)

        var writer: any DatabaseWriter {
            switch self {
            case .file(let pool): pool
            case .memory(let queue): queue
            }
        }
    }

    /// How many writes share a commit at most: those that end what was leased together, and as many others.
    private static let batchMax = 1024

    /// Opens the file at `path`, making it if there is none, and brings its schema up to date.
    ///
    /// Throws a fault in words for the operator if it cannot be used: damaged, unreachable, or from a newer release.
    /// `onCommit` is called after each durable commit, in the order of commits, with the events that the commit added;
    /// it runs on the writer's thread, and must neither block nor use the store.
    package convenience init(
        path: String, clock: any TimeSource, faults: any FaultPoints, logger: Logger,
        onCommit: @escaping @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void
    ) throws {
        do {
            let pool = try DatabasePool(path: path, configuration: Self.configuration())
            // GRDB lowers it to NORMAL, with which a power cut can take back the latest commits.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            // The rows and indexes that a day's jobs touch; memory is taken as they are.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA cache_size = -16384") }
            // Pages that many commits change are copied into the file once for all of them.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_autocheckpoint = 32768") }
            try self.init(.file(pool), clock: clock, faults: faults, logger: logger, onCommit: onCommit)
        } catch {
            throw SQLiteFault.fault(of: error, opening: path, logger)
        }
    }

    /// A store that is gone with the process. Writes and reads run on the caller's thread and never suspend.
    package convenience init(
        inMemoryWith clock: any TimeSource, faults: any FaultPoints, logger: Logger,
        onCommit: @escaping @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void
    ) throws {
        do {
            let connection = try DatabaseQueue(configuration: Self.configuration())
            try self.init(.memory(connection), clock: clock, faults: faults, logger: logger, onCommit: onCommit)
        } catch {
            throw SQLiteFault.fault(of: error, logger)
        }
    }

    private init(
        _ connections: Connections, clock: any TimeSource, faults: any FaultPoints, logger: Logger,
        onCommit: @escaping @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void
    ) throws {
        self.connections = connections
        self.clock = clock
        self.logger = logger
        group = GroupCommit(faults: faults, logger: logger, onCommit: onCommit)
        let applied = try connections.writer.writeWithoutTransaction { database in
            var applied: [String] = []
            try database.inTransaction(.immediate) {
                applied = try Schema.migrate(SQLiteConnection(database: database, logger: logger), now: clock.wall())
                return .commit
            }
            return applied
        }
        if !applied.isEmpty {
            logger.info("brought the database's schema up to date", metadata: ["migrations": "\(applied)"])
        }
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
        let view: @Sendable (GRDB.Database) throws -> Result = { [clock, logger] database in
            let sql = SQLiteConnection(database: database, logger: logger, isReadOnly: true)
            return try body(SQLTransaction(sql, now: clock.wall()))
        }
        do {
            switch connections {
            case .file(let pool): return try await read(on: pool, view)
            case .memory(let queue): return try readInPlace(queue, view)
            }
        } catch let error as DatabaseError {
            throw SQLiteFault.fault(of: error, logger)
        }
    }

    /// Carries out what has been accepted, then closes the file. Whatever comes later fails with `store-unavailable`.
    /// Blocks until then. May be called again.
    package func close() {
        queue.close()
        connections.writer.writeWithoutTransaction { database in
            while serveOnce(database) {}
        }
        do {
            try connections.writer.close()
        } catch {
            logger.warning("the database did not close cleanly", metadata: ["error": "\(error)"])
        }
    }

    private func serve() {
        switch connections {
        case .file(let pool):
            pool.asyncWriteWithoutTransaction { [self] database in
                // One batch a turn: the writer's queue is fair to others, such as `close`.
                if serveOnce(database) { serve() }
            }
        case .memory(let queue):
            queue.writeWithoutTransaction { database in
                while serveOnce(database) {}
            }
        }
    }

    /// False when nothing waited.
    private func serveOnce(_ database: GRDB.Database) -> Bool {
        let batch = queue.take(atMost: Self.batchMax)
        if batch.isEmpty { return false }
        let connection = SQLiteCommit(database: database, clock: clock, logger: logger)
        do {
            let ready = try group.run(batch, on: connection)
            if !ready.isEmpty { try connection.commit() }
            group.finish(ready)
        } catch {
            connection.rollBack()
            group.giveUp(batch, (error as? TransactionLost)?.fault ?? StoreFault.unforeseen)
        }
        return true
    }

    /// Goes on also when the caller is cancelled, as a write does.
    private func read<Result: Sendable>(
        on pool: DatabasePool, _ view: @escaping @Sendable (GRDB.Database) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { caller in
            pool.asyncRead { connection in
                caller.resume(with: connection.flatMap { database in .init { try view(database) } })
            }
        }
    }

    private func readInPlace<Result>(_ queue: DatabaseQueue, _ view: (GRDB.Database) throws -> Result) throws -> Result
    {
        try queue.read(view)
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = true
        // Another process, such as a backup, may hold the file for a moment.
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 4
        configuration.label = "roost.store"
        return configuration
    }
}
