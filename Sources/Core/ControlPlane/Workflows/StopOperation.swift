import Domain

/// The user's own stop: the same path as the GC job, but a missing domain is news, and triggers an inventory.
struct StopOperation: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard try await isWanted(job) else { return try await end(job, JobEnd(.superseded, .superseded)) }
        if let gaveUp = try await settleIfLate(job) { return gaveUp }
        await context.faults.reach("stop.before-command")
        let message = StopVMOnHypervisor(
            vm: job.vm, epoch: job.epoch, mode: job.payload.mode ?? .grace,
            timeout: .seconds(job.payload.timeout ?? 0), ignoreNotFound: false)
        let end = await context.driver(of: job.host).stop(message, as: job.command)
        await context.faults.reach("stop.before-write")
        return try await act(on: end, of: job)
    }

    private func act(on end: CommandEnd, of job: Job) async throws -> Attempt {
        switch end {
        case .done(let result): return try await finish(job, result.effect)
        case .rejected(let fault) where fault.code == .domainNotFound: return try await learn(job, fault)
        case .rejected(let fault) where fault.code == .libvirtUnavailable:
            return isDeferrable(job) ? try await deferToGC(job) : try await giveUp(job, fault)
        case .rejected(let fault), .failed(let fault): return try await giveUp(job, fault)
        case .notSent(let fault):
            if isDeferrable(job) { return try await deferToGC(job) }
            // Only the first attempt knows that no earlier one was sent.
            guard job.attempts > 1 else { return try await giveUp(job, fault) }
            try await loseSight(job)
            return .again(fault, .host)
        case .outcomeUnknown(let fault):
            // A node that stops gives the job back as it is.
            if Task.isCancelled { return .again(fault, .answer) }
            if isDeferrable(job) { return try await deferToGC(job) }
            try await loseSight(job)
            return .again(fault, .answer)
        }
    }

    private func isDeferrable(_ job: Job) -> Bool { job.payload.isDeferrable ?? false }

    private func isWanted(_ job: Job) async throws -> Bool {
        try await context.database.read { tx in
            guard let vm = try tx.vm(job.vm) else { return false }
            return vm.operation == job.id && (vm.state.placement == job.placement || vm.state.placement == nil)
        }
    }

    /// A stop that may not be deferred is not sent any more long after it was asked for: only what an earlier sending came
    /// to is found out. Nil while it may be sent.
    private func settleIfLate(_ job: Job) async throws -> Attempt? {
        let patience = context.settings.resendLimit + .seconds(job.payload.timeout ?? 0)
        guard !isDeferrable(job), job.attempts > 1, context.time.wall() > job.createdAt.adding(patience) else {
            return nil
        }
        switch await context.sessions.settle(job.command, on: job.host, limit: context.settings.stopLimit) {
        case .ended(let outcome): return try await act(on: CommandEnd(outcome), of: job)
        case .neverReceived:
            let fault = Fault(
                .unavailable, .hostUnreachable, "The host could not be reached in time; it never got the stop.",
                hint: "Ask again, or let it wait for the host with --defer.")
            return try await giveUp(job, fault)
        case .unknown(let fault): return .again(fault, .host)
        }
    }

    private func finish(_ job: Job, _ effect: CommandResult.Effect) async throws -> Attempt {
        let change = ChangeVMState(
            vm: job.vm, event: .stopped(effect.stopCause), expectedHost: job.host, expectedEpoch: job.epoch)
        try await context.database.write("stop.finish") { tx in
            let reply = try tx.apply(change, ending: job.id)
            if case .superseded(let vm) = reply { try tx.release(vm, from: job) }
            let outcome = JobOutcome(of: reply, effect, for: job)
            let verdict: JobEnd.Verdict = outcome == .superseded ? .superseded : .succeeded
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(verdict, outcome))
        }
        return .ended
    }

    /// There is no domain, which nobody had reported: the host's whole inventory says what is true, and the stop has
    /// succeeded if it confirms it.
    private func learn(_ job: Job, _ fault: Fault) async throws -> Attempt {
        await context.inspect(job.host)
        let isGone = try await context.database.read { tx in
            try tx.vm(job.vm).map { $0.state.placement == nil && $0.epoch == job.epoch } ?? false
        }
        guard isGone else { return try await giveUp(job, fault) }
        return try await end(job, JobEnd(.succeeded, .notFound))
    }

    /// The stop had no effect: the VM is what its host says of it.
    private func giveUp(_ job: Job, _ fault: Fault) async throws -> Attempt {
        try await context.database.write("stop.give-up") { tx in
            if let vm = try tx.vm(job.vm), vm.operation == job.id {
                var next = (try? vm.after(.stopGivenUp)) ?? vm
                if let lost = try tx.reasonUnreachable(job.host), next.state.placement != nil {
                    next = try next.after(.hostLost(lost))
                }
                next.operation = nil
                _ = try tx.replace(vm, with: next)
            }
            try tx.end(job, underLease: job.leaseToken, as: .failed(fault))
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

    private func loseSight(_ job: Job) async throws {
        try await context.database.write("stop.unknown") { tx in try tx.loseSight(ofPlacementOf: job) }
    }

    private func end(_ job: Job, _ end: JobEnd) async throws -> Attempt {
        try await context.database.write("stop.end") { tx in
            try tx.release(tx.vm(job.vm), from: job)
            try tx.end(job, underLease: job.leaseToken, as: end)
        }
        return .ended
    }
}
