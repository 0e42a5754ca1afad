package import Domain
import Logging

/// Runs operations and GC jobs: takes due ones up under a lease, runs their workflow, and puts off what cannot be done now.
///
/// Commits wake it; a periodic sweep finds what no wake-up announced, so that a lost one strands nothing.
package final class JobEngine: Sendable {
    private let context: Context
    private let workflows: any WorkflowTable
    private let places: JobPlaces

    /// How many jobs are leased at once: as many as one statement ends.
    private static let claimMax = 512

    /// - Parameter workflows: what it does for each job; nil for what Roost does.
    package init(_ context: Context, workflows: (any WorkflowTable)? = nil) {
        self.context = context
        self.workflows = workflows ?? Workflows(context)
        places = JobPlaces(context.settings.concurrentJobs)
    }

    /// Takes over what nodes left under lease that are gone, and looks again at operations that another release could not
    /// read; then works until the task is cancelled.
    ///
    /// When cancelled, it takes nothing new up, cuts the waits of what runs short and gives those jobs back.
    package func run() async throws {
        _ = try await context.database.write("job.take-over") { tx in
            try tx.retryParkedOperations()
            return try tx.takeOverStrandedLeases()
        }
        await withDiscardingTaskGroup { group in
            // Whether there was more to lease than was leased.
            var isBehind = false
            while !Task.isCancelled {
                let ticket = context.feed.ticket(.jobs)
                let free = places.free(atMost: Self.claimMax)
                let (claimed, next) = await claim(free, withoutLooking: isBehind)
                for job in claimed { group.addTask { await self.work(on: job) } }
                isBehind = free > 0 && claimed.count == free
                if claimed.isEmpty { await context.feed.wait(past: ticket, atMost: next, context.time) }
            }
        }
    }

    /// Leases at most `limit` jobs that are due; if nothing is, says how long until something may be.
    ///
    /// It reads first, because a write is a commit, unless there is something in all likelihood.
    private func claim(_ limit: Int, withoutLooking: Bool) async -> ([Job], Duration) {
        let owner = context.node.id
        let sweep = context.settings.sweepInterval
        guard limit > 0 else { return ([], sweep) }
        do {
            if !withoutLooking {
                let due = try await context.database.read { tx in
                    try (tx.recovery().observing == nil ? tx.nextDueTime(for: owner) : nil, tx.now)
                }
                guard let time = due.0 else { return ([], sweep) }
                guard time <= due.1 else {
                    return ([], min(sweep, .milliseconds(time.milliseconds - due.1.milliseconds)))
                }
            }
            let leased = try await context.database.write("job.claim") { tx in
                // Nothing is done on the word of an older copy before that was accepted.
                try tx.recovery().observing == nil ? tx.leaseDueJobs(owner: owner, limit: limit) : .none
            }
            places.take(leased.count)
            // There was nothing after all: when there will be is found out next.
            return (leased.read(), leased.count == 0 ? .zero : sweep)
        } catch {
            context.logger.error("cannot take up jobs", metadata: ["error": "\(error)"])
            return ([], sweep)
        }
    }

    private func work(on job: Job) async {
        context.logger.debug("job taken up", metadata: job.metadata(["attempt": "\(job.attempts)"]))
        do {
            switch try await workflows.workflow(for: job).attempt(job) {
            case .ended:
                await context.sessions.acknowledge(job.command, on: job.host)
                if let peer = job.peer { await context.sessions.acknowledge(job.arrivalCommand, on: peer) }
            case .settled: break
            case .again(let fault, let wait): await giveBack(job, Unfinished(job, fault, wait))
            case .stuck(let reason): await giveBack(job, Unfinished(reason: reason, wait: .answer, isStuck: true))
            }
        } catch is LeaseLost {
            context.logger.debug("job was ended or taken over meanwhile", metadata: job.metadata())
        } catch {
            context.logger.error("job attempt broke off", metadata: job.metadata(["error": "\(error)"]))
            let fault = error as? Fault ?? Fault(.bug, .internalError, "The attempt broke off by an internal error.")
            await giveBack(job, Unfinished(job, fault, .answer))
        }
        // What was due and found no place is looked for again, and so is what waits for the turn that a move has left.
        if places.giveBack() || job.payload.drain != nil { context.feed.committed(jobsTouched: true) }
    }

    /// Puts the job off, however long the store refuses: nobody else would find a job that keeps its lease. A node that
    /// stops leaves it to the take-over at its next start.
    private func giveBack(_ job: Job, _ unfinished: Unfinished) async {
        var failures = 0
        while true {
            do { return try await putOff(job, unfinished) } catch is LeaseLost {
                context.logger.debug("job was ended or taken over meanwhile", metadata: job.metadata())
                return
            } catch {
                context.logger.error("cannot put the job off", metadata: job.metadata(["error": "\(error)"]))
            }
            failures += 1
            let pause = context.settings.retry.delay(attempts: failures, unit: context.random.unit())
            do { try await context.time.sleep(for: pause) } catch { return }
        }
    }

    /// Gives the job's lease back: until its next attempt, or, where trying again cannot help, until a hand takes it up.
    private func putOff(_ job: Job, _ unfinished: Unfinished) async throws {
        let settings = context.settings
        let unit = context.random.unit()
        let fresh = CommandID(from: context.ids)
        // What breaks an attempt off while the node stops says nothing of the job.
        let isStopping = Task.isCancelled
        let isParked = unfinished.isStuck && !isStopping
        try await context.database.write("job.put-off") { tx in
            // A stronger wish may have been added to the row meanwhile.
            guard var next = try tx.job(job.id), !next.state.isEnded else { throw LeaseLost() }
            next.state = isParked ? .parked : .waiting
            next.owner = nil
            next.note(unfinished.reason, at: tx.now)
            var delay = settings.retry.delay(attempts: job.attempts, unit: unit)
            switch unfinished.wait {
            case .host:
                // If the host came back while this attempt failed, its wake-up has passed.
                let isPeerLost = try job.peer.map { try tx.reasonUnreachable($0) != nil } ?? false
                if try isPeerLost || tx.reasonUnreachable(job.host) != nil { delay = settings.hostRetry }
            case .answer: break
            case .backoff: next.payload.command = fresh
            }
            next.nextAttemptAt = isStopping ? tx.now : tx.now.adding(delay)
            guard let stored = try tx.replace(next, underLease: job.leaseToken) else { throw LeaseLost() }
            if isParked { try tx.announceParking(of: stored) }
        }
        context.logger.log(
            level: isParked ? .error : .info, isParked ? "job needs attention" : "job waits",
            metadata: job.metadata(["attempt": "\(job.attempts)", "error": "\(unfinished.reason)"]))
    }
}

/// Why an attempt did not finish its job, and what makes the next one worth while.
private struct Unfinished: Sendable {
    let reason: String
    let wait: Attempt.Wait
    /// Nothing does, until somebody has looked after it.
    let isStuck: Bool

    init(reason: String, wait: Attempt.Wait, isStuck: Bool) {
        self.reason = reason
        self.wait = wait
        self.isStuck = isStuck
    }

    init(_ job: Job, _ fault: Fault, _ wait: Attempt.Wait) {
        self.init(reason: fault.message, wait: wait, isStuck: job.isStuck(on: fault))
    }
}

extension Transaction {
    fileprivate func announceParking(of job: Job) throws {
        try append(
            Event(
                kind: "job.needs-attention", vm: job.vmIfAny, host: job.host, job: job.id, epoch: job.epoch,
                message: "\(job.label) needs attention: \(job.lastError?.message ?? "")", principal: job.requestedBy))
    }
}

extension Job {
    /// What every log line about this job carries.
    func metadata(_ more: Logger.Metadata = [:]) -> Logger.Metadata {
        let purpose =
            switch kind.purpose {
            case .operation: "operation"
            case .gc: "job"
            }
        let own: Logger.Metadata = [
            purpose: "\(id)", "kind": "\(storedKind)", "vm": "\(vm)", "host": "\(host)", "epoch": "\(epoch)",
        ]
        return own.merging(more) { _, newer in newer }
    }
}
