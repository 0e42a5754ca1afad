package import Domain
import Logging
import Synchronization

/// Runs operations and GC jobs: takes due ones up under a lease, runs their workflow, and puts off what cannot be done now.
///
/// Commits wake it; a periodic sweep finds what no wake-up announced, so that a lost one strands nothing.
package final class JobEngine: Sendable {
    private let context: Context
    private let running = Mutex(0)
    private let turns: MoveTurns

    package init(_ context: Context) {
        self.context = context
        turns = MoveTurns(limit: context.settings.concurrentDrainMoves)
    }

    /// Takes over what an earlier run of this node left under lease, then works until the task is cancelled.
    ///
    /// Only to be called while no other process can hold leases in this database. When cancelled, it takes nothing new up,
    /// cuts the waits of what runs short and gives those jobs back.
    package func run() async throws {
        let owner = context.settings.node
        _ = try await context.database.write("job.take-over") { tx in try tx.takeOverLeases(except: "") }
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let ticket = context.feed.ticket(.jobs)
                let (claimed, next) = await claim(as: owner)
                for job in claimed { group.addTask { await self.work(on: job) } }
                if claimed.isEmpty { await context.feed.wait(past: ticket, atMost: next, context.time) }
            }
        }
    }

    /// Leases what is due; if nothing is, says how long until something may be.
    private func claim(as owner: String) async -> ([Job], Duration) {
        let free = context.settings.concurrentJobs - running.withLock { $0 }
        let sweep = context.settings.sweepInterval
        guard free > 0 else { return ([], sweep) }
        do {
            let due = try await context.database.read { tx in try (tx.nextDueTime(), tx.now) }
            guard let time = due.0 else { return ([], sweep) }
            guard time <= due.1 else {
                return ([], min(sweep, .milliseconds(time.milliseconds - due.1.milliseconds)))
            }
            let claimed = try await context.database.write("job.claim") { tx in
                try tx.claimDueJobs(owner: owner, limit: free)
            }
            running.withLock { $0 += claimed.count }
            return (claimed, sweep)
        } catch {
            context.logger.error("cannot take up jobs", metadata: ["error": "\(error)"])
            return ([], sweep)
        }
    }

    private func work(on job: Job) async {
        context.logger.debug("job taken up", metadata: job.metadata(["attempt": "\(job.attempts)"]))
        do {
            switch try await workflow(for: job.kind).attempt(job) {
            case .ended:
                await context.sessions.acknowledge(job.command, on: job.host)
                if let peer = job.peer { await context.sessions.acknowledge(job.arrivalCommand, on: peer) }
            case .settled: break
            case .again(let fault, let wait): await giveBack(job, fault, wait)
            }
        } catch is LeaseLost {
            context.logger.debug("job was ended or taken over meanwhile", metadata: job.metadata())
        } catch {
            context.logger.error("job attempt broke off", metadata: job.metadata(["error": "\(error)"]))
            let fault = error as? Fault ?? Fault(.bug, .internalError, "The attempt broke off by an internal error.")
            await giveBack(job, fault, .answer)
        }
        running.withLock { $0 -= 1 }
        // A place is free: what was due and found none is looked for again.
        context.feed.committed(jobsTouched: true)
    }

    private func workflow(for kind: JobKind) -> any Workflow {
        switch kind {
        case .startOperation: StartOperation(context: context)
        case .stopOperation: StopOperation(context: context)
        case .pauseOperation: ControlOperation(context: context, control: .pause)
        case .resumeOperation: ControlOperation(context: context, control: .resume)
        case .resetOperation: ControlOperation(context: context, control: .reset)
        case .rebootOperation: ControlOperation(context: context, control: .reboot)
        case .migrateOperation: MigrateOperation(context: context, turns: turns)
        case .destroyOperation: DestroyOperation(context: context)
        case .recoverOperation: RecoverOperation(context: context)
        case .expungeOperation: ExpungeOperation(context: context)
        case .maintainOperation: MaintainOperation(context: context)
        case .stopVM: StopVMJob(context: context)
        case .destroyVM: DestroyVMJob(context: context)
        case .adoptVM: AdoptVMJob(context: context)
        case .deleteVolume: DeleteVolumeJob(context: context)
        }
    }

    /// Puts the job off, however long the store refuses: nobody else would find a job that keeps its lease. A node that
    /// stops leaves it to the take-over at its next start.
    private func giveBack(_ job: Job, _ fault: Fault, _ wait: Attempt.Wait) async {
        var failures = 0
        while true {
            do { return try await putOff(job, fault, wait) } catch is LeaseLost {
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

    /// Gives the job's lease back until its next attempt.
    private func putOff(_ job: Job, _ fault: Fault, _ wait: Attempt.Wait) async throws {
        let settings = context.settings
        let unit = context.random.unit()
        let fresh = CommandID(from: context.ids)
        let isStopping = Task.isCancelled
        try await context.database.write("job.put-off") { tx in
            // A stronger wish may have been added to the row meanwhile.
            guard var next = try tx.job(job.id), !next.state.isEnded else { throw LeaseLost() }
            next.state = .waiting
            next.owner = nil
            next.lastError = fault.message
            var delay = settings.retry.delay(attempts: job.attempts, unit: unit)
            switch wait {
            case .host:
                // If the host came back while this attempt failed, its wake-up has passed.
                let isPeerLost = try job.peer.map { try tx.reasonUnreachable($0) != nil } ?? false
                if try isPeerLost || tx.reasonUnreachable(job.host) != nil { delay = settings.hostRetry }
            case .answer: break
            case .backoff: next.payload.command = fresh
            }
            next.nextAttemptAt = isStopping ? tx.now : tx.now.adding(delay)
            if try tx.replace(next, underLease: job.leaseToken) == nil { throw LeaseLost() }
        }
        context.logger.info(
            "job waits", metadata: job.metadata(["attempt": "\(job.attempts)", "error": "\(fault.message)"]))
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
            purpose: "\(id)", "kind": "\(kind.rawValue)", "vm": "\(vm)", "host": "\(host)", "epoch": "\(epoch)",
        ]
        return own.merging(more) { _, newer in newer }
    }
}
