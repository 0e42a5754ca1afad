import Domain

/// The user's own stop: the same path as the GC job, but a missing domain is news, and triggers an inventory.
struct StopOperation: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard let (session, now) = try await sessionIfWanted(job) else {
            return try await context.supersede(job, "stop.superseded")
        }
        if let settled = try await settleIfLate(job, session, now) { return settled }
        await context.faults.reach("stop.before-command")
        let message = StopVMOnHypervisor(
            vm: job.vm, epoch: job.epoch, mode: job.payload.mode ?? .grace,
            timeout: .seconds(job.payload.timeout ?? 0), ignoreNotFound: false)
        let end = await context.driver(of: job.host).stop(message, as: job.command)
        await context.faults.reach("stop.before-write")
        return try await act(on: end, of: job, sentIn: session)
    }

    private func act(on end: CommandEnd, of job: Job, sentIn session: Int64) async throws -> Attempt {
        switch end {
        case .done(let result): return try await finish(job, result.effect, result, sentIn: session)
        case .rejected(let fault) where fault.code == .domainNotFound: return try await learn(job, fault)
        case .rejected(let fault) where fault.code == .libvirtUnavailable:
            return isDeferrable(job) ? try await deferToGC(job) : try await giveUp(job, fault)
        case .rejected(let fault), .failed(let fault): return try await giveUp(job, fault)
        case .notSent(let fault):
            // A node that stops gives the job back as it is.
            if Task.isCancelled { return .again(fault, .host) }
            if isDeferrable(job) { return try await deferToGC(job) }
            // Only the first attempt knows that no earlier one was sent.
            guard job.attempts > 1 else { return try await giveUp(job, fault) }
            return try await wait(job, fault, .host)
        case .outcomeUnknown(let fault):
            if Task.isCancelled { return .again(fault, .answer) }
            if isDeferrable(job) { return try await deferToGC(job) }
            return try await wait(job, fault, .answer)
        }
    }

    private func isDeferrable(_ job: Job) -> Bool { job.payload.isDeferrable ?? false }

    /// The host's session before the command is sent, and the time as the job's row counts it; nil if nobody wants this stop
    /// any more.
    private func sessionIfWanted(_ job: Job) async throws -> (Int64, Timestamp)? {
        try await context.database.read { tx in
            guard let vm = try tx.vm(job.vm), vm.operation == job.id,
                vm.state.placement == job.placement || vm.state.placement == nil
            else { return nil }
            return (try tx.session(of: job), tx.now)
        }
    }

    /// A stop that may not be deferred is not sent any more long after it was asked for: only what an earlier sending came
    /// to is found out. Nil while it may be sent.
    private func settleIfLate(_ job: Job, _ session: Int64, _ now: Timestamp) async throws -> Attempt? {
        let patience = context.settings.resendLimit + .seconds(job.payload.timeout ?? 0)
        guard !isDeferrable(job), job.attempts > 1, now > job.createdAt.adding(patience) else {
            return nil
        }
        switch await context.sessions.settle(job.command, on: job.host, limit: context.settings.stopLimit) {
        case .ended(let outcome): return try await act(on: CommandEnd(outcome), of: job, sentIn: session)
        case .neverReceived:
            let fault = Fault(
                .unavailable, .hostUnreachable, "The host could not be reached in time; it never got the stop.",
                hint: "Ask again, or let it wait for the host with --defer.")
            return try await giveUp(job, fault)
        case .unknown(let fault): return try await wait(job, fault, .host)
        }
    }

    private func finish(
        _ job: Job, _ effect: CommandResult.Effect, _ result: CommandResult? = nil, sentIn session: Int64 = 0
    ) async throws -> Attempt {
        try await context.database.write("stop.finish") { tx in
            let change = ChangeVMState(
                vm: job.vm, event: .stopped(effect.stopCause), expectedHost: job.host, expectedEpoch: job.epoch,
                observation: try result.flatMap { try tx.observation(of: $0, for: job, sentIn: session) })
            let reply = try tx.apply(change, ending: job.id)
            if case .superseded(let vm) = reply { try tx.release(vm, from: job) }
            let outcome = JobOutcome(of: reply, effect, for: job)
            let verdict: JobEnd.Verdict = outcome == .superseded ? .superseded : .succeeded
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(verdict, outcome))
        }
        return .ended
    }

    /// There is no domain, which nobody had reported. The host's whole inventory is asked for, because what else it shows is
    /// news too; unless it contradicts, the stop has succeeded: the agent lets no start of this epoch through any more.
    private func learn(_ job: Job, _ fault: Fault) async throws -> Attempt {
        if await context.inspect(job.host)?.shows(job.vm, job.epoch) == true { return try await giveUp(job, fault) }
        return try await finish(job, .notFound)
    }

    /// The stop had no effect: the VM is what its host says of it.
    private func giveUp(_ job: Job, _ fault: Fault) async throws -> Attempt {
        try await context.database.write("stop.give-up") { tx in
            var end = JobEnd.failed(fault)
            if let vm = try tx.vm(job.vm), vm.operation == job.id {
                var next = vm
                next.operation = nil
                if vm.isAtRest(after: job) {
                    end = JobEnd(.succeeded, .stopped)
                } else {
                    next = try next.after(.stopGivenUp)
                    if let lost = try tx.reasonUnreachable(job.host) { next = try next.after(.hostLost(lost)) }
                }
                _ = try tx.replace(vm, with: next)
            }
            try tx.end(job, underLease: job.leaseToken, as: end)
        }
        await context.inspect(job.host)
        return .ended
    }

    /// The host cannot do it now: a GC job will, and the operation has ended with that. If a report has told meanwhile that
    /// the domain is gone, nothing is left to do.
    private func deferToGC(_ job: Job) async throws -> Attempt {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("stop.defer") { tx in
            var end = JobEnd(.succeeded, .deferred)
            if let vm = try tx.vm(job.vm), vm.operation == job.id {
                var next = vm
                next.operation = nil
                if vm.state.placement == job.placement {
                    next = try next.after(.hostLost(tx.reasonUnreachable(job.host) ?? .outcomeUnknown))
                    try tx.leave(
                        .fresh(
                            .stopVM, for: next, at: job.placement, payload: job.payload,
                            by: Principal(name: job.requestedBy), ids: ids, now: tx.now), settings)
                } else {
                    end = JobEnd(.succeeded, .stopped)
                }
                _ = try tx.replace(vm, with: next)
            }
            try tx.end(job, underLease: job.leaseToken, as: end)
        }
        return .ended
    }

    /// Tries again later, unless a report has told meanwhile that the domain is gone: then nothing is left to wait for.
    private func wait(_ job: Job, _ fault: Fault, _ wait: Attempt.Wait) async throws -> Attempt {
        try await context.database.write("stop.unknown") { tx in
            guard let vm = try tx.vm(job.vm), vm.operation == job.id, vm.isAtRest(after: job) else {
                try tx.loseSight(ofPlacementOf: job)
                return .again(fault, wait)
            }
            try tx.release(vm, from: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, .stopped))
            return .ended
        }
    }
}

extension VM {
    /// Whether the domain that `job` was to stop is known to be gone.
    fileprivate func isAtRest(after job: Job) -> Bool { state.placement == nil && lastPlacement?.epoch == job.epoch }
}
