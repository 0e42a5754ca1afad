import ControlPlane
import Domain
import Logging
import Synchronization

/// Carries out many writes in one transaction, and so with one commit and one wait for the disk.
///
/// The bodies run in turn, in the hope that all go well. When one throws that has written something, all of it is taken back,
/// and they run once more with a savepoint each, so that one that throws takes back only itself. No caller hears anything,
/// not even a refusal, before the commit is durable: what a body saw of its neighbours could still be lost until then.
final class GroupCommit: Sendable {
    /// What has been committed since the store was opened.
    struct Counts: Hashable, Sendable {
        var commits = 0
        var bodies = 0
    }

    private let faults: any FaultPoints
    private let logger: Logger
    private let onCommit: @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void
    private let counted = Mutex(Counts())

    /// How often a body that lost a race is run in all.
    private static let attemptsMax = 100

    /// The bodies of one transaction, which waits for its commit.
    struct Ready {
        fileprivate var kept: [Kept] = []
        fileprivate var refused: [(write: PendingWrite, error: any Error)] = []
        fileprivate var events: [NumberedEvent] = []
        /// Whether others have something to look for.
        fileprivate(set) var jobsTouched = false

        /// Whether there is anything to commit.
        var isEmpty: Bool { kept.isEmpty }

        fileprivate mutating func add(_ transaction: SQLTransaction) {
            events += transaction.events
            jobsTouched = jobsTouched || transaction.jobsTouched
        }
    }

    /// A body that went well and waits for the commit.
    fileprivate struct Kept {
        let label: String
        let tellCaller: @Sendable () -> Void
    }

    init(
        faults: any FaultPoints, logger: Logger,
        onCommit: @escaping @Sendable ([NumberedEvent], _ jobsTouched: Bool) -> Void
    ) {
        self.faults = faults
        self.logger = logger
        self.onCommit = onCommit
    }

    var counts: Counts { counted.withLock { $0 } }

    /// Runs the bodies of `batch` in one new transaction on `connection`, which is left open when there is anything to commit.
    func run(_ batch: [PendingWrite], on connection: some CommitConnection) throws(TransactionLost) -> Ready {
        do {
            var ready: Ready
            if let smooth = try runTogether(batch, on: connection) {
                ready = smooth
            } else {
                connection.rollBack()
                ready = try runApart(batch, on: connection)
            }
            if ready.isEmpty { connection.rollBack() }
            for one in ready.kept { faults.reachBlocking("before-\(one.label)") }
            return ready
        } catch {
            connection.rollBack()
            throw error as? TransactionLost ?? TransactionLost(fault: StoreFault.unforeseen)
        }
    }

    /// Runs the bodies with nothing between them; nil when what one did has to be taken back.
    private func runTogether(_ batch: [PendingWrite], on connection: some CommitConnection) throws -> Ready? {
        let transaction = SQLTransaction(connection.sql, now: try connection.begin(), deferring: true)
        var ready = Ready()
        for write in batch {
            let mark = transaction.beginBody()
            do {
                ready.kept.append(Kept(label: write.label, tellCaller: try write.run(transaction)))
            } catch let lost as TransactionLost {
                throw lost
            } catch {
                if transaction.hasWritten || error is LostRace || error is PrematureEnd { return nil }
                transaction.takeBack(to: mark)
                ready.refused.append((write, error))
            }
        }
        do { try transaction.finish() } catch let lost as TransactionLost { throw lost } catch { return nil }
        ready.add(transaction)
        return ready
    }

    /// Runs each body behind a savepoint of its own.
    private func runApart(_ batch: [PendingWrite], on connection: some CommitConnection) throws -> Ready {
        let now = try connection.begin()
        var ready = Ready()
        for write in batch {
            do {
                try run(write, on: connection, now, into: &ready)
            } catch let lost as TransactionLost {
                throw lost
            } catch {
                ready.refused.append((write, error))
            }
        }
        return ready
    }

    /// Tells every caller how its write ended, once the commit is durable.
    func finish(_ ready: Ready) {
        if !ready.isEmpty {
            counted.withLock { counts in
                counts.commits += 1
                counts.bodies += ready.kept.count
            }
        }
        for one in ready.kept { faults.reachBlocking("after-\(one.label)") }
        for one in ready.kept { one.tellCaller() }
        for one in ready.refused { one.write.fail(one.error) }
        if !ready.isEmpty { onCommit(ready.events, ready.jobsTouched) }
    }

    /// Tells every caller of `batch` that it failed, and why.
    func giveUp(_ batch: [PendingWrite], _ fault: Fault) {
        for write in batch { write.fail(fault) }
    }

    /// Runs one body behind a savepoint, again when it lost a race. An error that it throws has left nothing behind.
    private func run(
        _ write: PendingWrite, on connection: some CommitConnection, _ now: Timestamp, into ready: inout Ready
    ) throws {
        for _ in 1...Self.attemptsMax {
            let transaction = SQLTransaction(connection.sql, now: now)
            try connection.savepoint()
            do {
                let tellCaller = try write.run(transaction)
                try connection.release()
                ready.kept.append(Kept(label: write.label, tellCaller: tellCaller))
                ready.add(transaction)
                return
            } catch let lost as TransactionLost {
                throw lost
            } catch {
                try connection.rollBackToSavepoint(after: error)
                switch error {
                case is LostRace: continue
                case is UniqueViolation: throw StoreFault.duplicate
                default: throw error
                }
            }
        }
        logger.warning("a write lost every race", metadata: ["label": "\(write.label)"])
        throw StoreFault.keepsChanging
    }
}
