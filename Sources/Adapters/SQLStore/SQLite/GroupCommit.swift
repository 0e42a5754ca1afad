import ControlPlane
import Domain
import GRDB
import Logging
import Synchronization

/// Carries out many writes with one commit, and so with one wait for the disk.
///
/// Each body has its own savepoint: one that throws takes back only itself. No caller hears anything, not even a
/// refusal, before the commit is durable: what a body saw of its neighbours could still be lost until then.
final class GroupCommit: Sendable {
    /// What has been committed since the store was opened.
    struct Counts: Hashable, Sendable {
        var commits = 0
        var bodies = 0
    }

    private let clock: any TimeSource
    private let faults: any FaultPoints
    private let logger: Logger
    private let onCommit: @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void
    private let counted = Mutex(Counts())

    /// How often a body that lost a race is run in all.
    private static let attemptsMax = 100

    /// A body that went well and waits for the commit.
    private struct Kept {
        let label: String
        let tellCaller: @Sendable () -> Void
        let events: [NumberedEvent]
        let jobsTouched: Bool
    }

    /// The transaction is lost, with everything in it.
    private struct TransactionLost: Error {
        let fault: Fault
    }

    init(
        clock: any TimeSource, faults: any FaultPoints, logger: Logger,
        onCommit: @escaping @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void
    ) {
        self.clock = clock
        self.faults = faults
        self.logger = logger
        self.onCommit = onCommit
    }

    var counts: Counts { counted.withLock { $0 } }

    /// Runs `batch` in one transaction on `database`, which is in none, and tells each caller how it ended.
    func commit(_ batch: [PendingWrite], on database: GRDB.Database) {
        var kept: [Kept] = []
        var refused: [(write: PendingWrite, error: any Error)] = []
        do {
            try orLost { try database.beginTransaction(.immediate) }
            for write in batch {
                do {
                    kept.append(try run(write, on: database))
                } catch let lost as TransactionLost {
                    throw lost
                } catch {
                    refused.append((write, error))
                }
            }
            if kept.isEmpty {
                try orLost { try database.rollback() }
            } else {
                for one in kept { faults.reachBlocking("before-\(one.label)") }
                try orLost { try database.commit() }
            }
        } catch {
            giveUp(batch, error, on: database)
            return
        }
        finish(kept, refused)
    }

    private func finish(_ kept: [Kept], _ refused: [(write: PendingWrite, error: any Error)]) {
        if !kept.isEmpty {
            counted.withLock { counts in
                counts.commits += 1
                counts.bodies += kept.count
            }
        }
        for one in kept { faults.reachBlocking("after-\(one.label)") }
        for one in kept { one.tellCaller() }
        for one in refused { one.write.fail(one.error) }
        if !kept.isEmpty { onCommit(kept.flatMap(\.events), kept.contains(where: \.jobsTouched)) }
    }

    /// Runs one body in a savepoint, again when it lost a race. An error that it throws has left nothing behind, unless
    /// it is `TransactionLost`.
    private func run(_ write: PendingWrite, on database: GRDB.Database) throws -> Kept {
        for _ in 1...Self.attemptsMax {
            let transaction = SQLTransaction(SQLiteConnection(database: database, logger: logger), now: clock.wall())
            try orLost { try execute("SAVEPOINT body", on: database) }
            do {
                let tellCaller = try write.run(transaction)
                try orLost { try execute("RELEASE body", on: database) }
                return Kept(
                    label: write.label, tellCaller: tellCaller, events: transaction.events,
                    jobsTouched: transaction.jobsTouched)
            } catch let lost as TransactionLost {
                throw lost
            } catch {
                try takeBack(after: error, on: database)
                switch error {
                case is LostRace: continue
                case is UniqueViolation: throw SQLiteFault.duplicate
                default: throw error
                }
            }
        }
        logger.warning("a write lost every race", metadata: ["label": "\(write.label)"])
        throw SQLiteFault.keepsChanging
    }

    private func takeBack(after error: any Error, on database: GRDB.Database) throws {
        // SQLite ends the whole transaction by itself after some errors, such as a full disk.
        guard database.isInsideTransaction else {
            throw TransactionLost(fault: SQLiteFault.fault(of: error, logger))
        }
        try orLost {
            try execute("ROLLBACK TO body", on: database)
            try execute("RELEASE body", on: database)
        }
    }

    private func execute(_ sql: String, on database: GRDB.Database) throws {
        try database.cachedStatement(sql: sql).execute()
    }

    private func orLost(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            throw TransactionLost(fault: SQLiteFault.fault(of: error, logger))
        }
    }

    /// Takes back the whole transaction and tells every caller of it.
    private func giveUp(_ batch: [PendingWrite], _ error: any Error, on database: GRDB.Database) {
        let fault = (error as? TransactionLost)?.fault ?? SQLiteFault.fault(of: error, logger)
        if database.isInsideTransaction {
            do {
                try database.rollback()
            } catch {
                logger.error("a failed commit could not be rolled back", metadata: ["error": "\(error)"])
            }
        }
        for write in batch { write.fail(fault) }
    }
}
