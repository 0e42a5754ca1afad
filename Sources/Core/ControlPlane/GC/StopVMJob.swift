import Domain

/// Stops a VM's domain later, when its host can be asked again: the path that everything else follows.
///
/// It names one host and one epoch. Whatever the VM has become meanwhile, no other domain is touched, and the record
/// changes only while the placement is still that one.
struct StopVMJob: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard let session = try await sessionIfWanted(job) else { return .ended }
        await context.faults.reach("gc-stop.before-command")
        let message = StopVMOnHypervisor(
            vm: job.vm, epoch: job.epoch, mode: job.payload.mode ?? .cold,
            timeout: .seconds(job.payload.timeout ?? 0), ignoreNotFound: true)
        let end = await context.driver(of: job.host).stop(message, as: job.command)
        await context.faults.reach("gc-stop.before-write")
        switch end {
        case .done(let result):
            try await finish(job, result, sentIn: session)
            return .ended
        case .rejected(let fault) where fault.code == .staleEpoch:
            return try await yield(job, fault)
        case .rejected(let fault) where fault.code == .libvirtUnavailable: return .again(fault, .host)
        case .rejected(let fault), .failed(let fault): return .again(fault, .backoff)
        case .notSent(let fault): return .again(fault, .host)
        case .outcomeUnknown(let fault): return .again(fault, .answer)
        }
    }

    /// The host's session before the command is sent; nil if nobody wants this stop any more, and then the job's end is
    /// written.
    ///
    /// That the placement is another one is no reason: the old domain may still linger on this host.
    private func sessionIfWanted(_ job: Job) async throws -> Int64? {
        let (end, session) = try await context.database.read { tx in
            (try tx.reasonToCancel(job), try tx.session(of: job))
        }
        guard end != nil else { return session }
        return try await context.database.write("gc-stop.cancel") { tx in
            guard let end = try tx.reasonToCancel(job) else { return try tx.session(of: job) }
            if end.outcome == .hostDeleted { try tx.abandonWork(of: job) }
            try tx.end(job, underLease: job.leaseToken, as: end)
            return nil
        }
    }

    /// The host has no domain of this epoch any more: the record follows, if the VM is still placed there, and the job
    /// ends in the same transaction.
    private func finish(_ job: Job, _ result: CommandResult, sentIn session: Int64) async throws {
        let outcome = try await context.database.write("gc-stop.finish") { tx in
            let change = ChangeVMState(
                vm: job.vm, event: .stopped(result.effect.stopCause), expectedHost: job.host, expectedEpoch: job.epoch,
                observation: try tx.observation(of: result, for: job, sentIn: session))
            let outcome = JobOutcome(of: try tx.apply(change), result.effect, for: job)
            try tx.forgetSighting(of: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, outcome))
            return outcome
        }
        context.logger.debug("stop-vm job ended", metadata: job.metadata(["outcome": "\(outcome.rawValue)"]))
    }

    /// A domain of another epoch is there: this job's is gone, and the other is not this job's to touch.
    private func yield(_ job: Job, _ fault: Fault) async throws -> Attempt {
        let isOver = try await context.database.write("gc-stop.yield") { tx in
            guard try tx.vm(job.vm)?.state.placement != job.placement else { return false }
            try tx.forgetSighting(of: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.superseded, .superseded))
            return true
        }
        context.logger.debug("stop-vm job yields", metadata: job.metadata(["superseded": "\(isOver)"]))
        return isOver ? .ended : .again(fault, .backoff)
    }
}

extension JobOutcome {
    /// What a stop came to: what the host said, unless the VM has moved on to another epoch.
    init(of reply: ChangeVMState.Reply, _ effect: CommandResult.Effect, for job: Job) {
        let isStillItsEpoch: Bool
        switch reply {
        case .applied: isStillItsEpoch = true
        // A report or a fence may have recorded the same end before.
        case .superseded(let vm): isStillItsEpoch = vm?.epoch == job.epoch && vm?.state.placement == nil
        }
        guard isStillItsEpoch else {
            self = .superseded
            return
        }
        self = effect == .notFound ? .notFound : .stopped
    }
}

extension Transaction {
    fileprivate func reasonToCancel(_ job: Job) throws -> JobEnd? {
        guard let host = try host(job.host), host.deletedAt == nil else { return JobEnd(.cancelled, .hostDeleted) }
        guard let vm = try vm(job.vm) else { return JobEnd(.cancelled, .vmDestroyed) }
        switch vm.state {
        case .destroyed, .destroying:
            // Its own job ends the domain; without one the domain may linger, and this job goes on.
            let isOwned = try unfinishedJobs(of: vm.id).contains {
                ($0.kind == .destroyVM || $0.kind == .destroyOperation) && $0.placement == job.placement
            }
            return isOwned ? JobEnd(.cancelled, .vmDestroyed) : nil
        case .created, .starting, .running, .paused, .stopping, .stopped, .crashed, .unknown: return nil
        }
    }

    /// The domain that this job was about is gone from its host.
    func forgetSighting(of job: Job) throws {
        guard try sightings(of: job.vm).contains(where: { $0.host == job.host && $0.epoch == job.epoch }) else {
            return
        }
        try removeSighting(of: job.vm, on: job.host)
    }
}
