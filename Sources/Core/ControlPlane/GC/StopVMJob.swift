import Domain

/// Stops a VM's domain later, when its host can be asked again: the path that everything else follows.
///
/// It names one host and one epoch. Whatever the VM has become meanwhile, no other domain is touched, and the record
/// changes only while the placement is still that one.
struct StopVMJob: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard let turn = try await turn(of: job) else { return .ended }
        if let effect = turn.effect {
            try await finish(job, effect)
            return .ended
        }
        await context.faults.reach("gc-stop.before-command")
        let message = StopVMOnHypervisor(
            vm: job.vm, epoch: job.epoch, mode: job.payload.mode ?? .cold,
            timeout: .seconds(job.payload.timeout ?? 0), ignoreNotFound: true)
        let end = await context.driver(of: job.host).stop(message, as: job.command)
        await context.faults.reach("gc-stop.before-write")
        switch end {
        case .done(let result):
            try await remember(result.effect, of: job)
            try await finish(job, result.effect, result, sentIn: turn.session)
            return .ended
        case .rejected(let fault) where fault.code == .staleEpoch:
            return try await yield(job, fault)
        case .rejected(let fault) where fault.code == .libvirtUnavailable: return .again(fault, .host)
        case .rejected(let fault), .failed(let fault): return .again(fault, .backoff)
        case .notSent(let fault): return .again(fault, .host)
        case .outcomeUnknown(let fault): return .again(fault, .answer)
        }
    }

    private struct Turn: Sendable {
        /// The host's session before the command is sent.
        let session: Int64
        /// What an earlier attempt's command did. It stays true: the agent lets no start of this epoch through any more.
        let effect: CommandResult.Effect?

        init(of job: Job, _ tx: any Transaction) throws {
            session = try tx.session(of: job)
            effect = try tx.stepOutput(of: job.id, named: StopVMJob.step).flatMap(CommandResult.Effect.init)
        }
    }

    private static let step = "stop-vm-on-hypervisor"

    /// What to do now; nil if nobody wants this stop any more, and then the job's end is written.
    ///
    /// That the placement is another one is no reason: the old domain may still linger on this host.
    private func turn(of job: Job) async throws -> Turn? {
        let (end, turn) = try await context.database.read { tx in
            (try tx.reasonToCancel(job), try Turn(of: job, tx))
        }
        guard end != nil else { return turn }
        let settings = context.settings
        return try await context.database.write("gc-stop.cancel") { tx in
            guard let end = try tx.reasonToCancel(job) else { return try Turn(of: job, tx) }
            if end.outcome == .hostDeleted { try tx.abandonWork(of: job, settings) }
            try tx.end(job, underLease: job.leaseToken, as: end)
            return nil
        }
    }

    /// Remembers what the command did: whoever goes on with the job need not reach the host again.
    private func remember(_ effect: CommandResult.Effect, of job: Job) async throws {
        try await context.database.write("gc-stop.answered") { tx in
            guard try tx.recordStep(effect.rawValue, of: job.id, named: Self.step, underLease: job.leaseToken) else {
                throw LeaseLost()
            }
        }
    }

    /// The host has no domain of this epoch any more: the record follows, if the VM is still placed there, and the job
    /// ends in the same transaction.
    private func finish(
        _ job: Job, _ effect: CommandResult.Effect, _ result: CommandResult? = nil, sentIn session: Int64 = 0
    ) async throws {
        let outcome = try await context.database.write("gc-stop.finish") { tx in
            let change = ChangeVMState(
                vm: job.vm, event: .stopped(effect.stopCause), expectedHost: job.host, expectedEpoch: job.epoch,
                observation: try result.flatMap { try tx.observation(of: $0, for: job, sentIn: session) })
            let outcome = JobOutcome(of: try tx.apply(change), effect, for: job)
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
        // Without a record nothing else is to be said of the domain.
        case .superseded(nil): isStillItsEpoch = true
        // A report or a fence may have recorded the same end before.
        case .superseded(let vm?): isStillItsEpoch = vm.lastPlacement?.epoch == job.epoch && vm.state.placement == nil
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
        // Without a record nobody else would end the domain: it is what an expunged VM left, or an orphan that somebody
        // wants gone.
        guard let vm = try vm(job.vm) else { return nil }
        switch vm.state {
        case .destroyed, .destroying, .expunging:
            // Its own job ends the domain; without one the domain may linger, and this job goes on.
            let isOwned = try unfinishedJobs(of: vm.id).contains {
                switch $0.kind {
                case .destroyVM, .destroyOperation, .deleteVolume: $0.placement == job.placement
                case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation,
                    .rebootOperation, .migrateOperation, .recoverOperation, .expungeOperation, .stopVM, .adoptVM,
                    .releasePlacement, .maintainOperation, .unknownOperation, .unknownGC:
                    false
                }
            }
            return isOwned ? JobEnd(.cancelled, .vmDestroyed) : nil
        case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .stopping, .stopped,
            .crashed, .unknown:
            return nil
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
