import Domain

/// The user's own destroy. It never gives a VM back: what cannot be done now is left to a GC job, or, if that was not
/// allowed, tried until the host answers.
struct DestroyOperation: Workflow {
    let context: Context

    private enum Turn: Sendable {
        case send(DestroyVMCommand)
        /// No domain is left, and the disk stays.
        case finish
        /// The VM had no domain, and is being expunged: a GC job does that.
        case follow
        case superseded
    }

    func attempt(_ job: Job) async throws -> Attempt {
        let command: DestroyVMCommand
        switch try await turn(of: job) {
        case .send(let wanted): command = wanted
        case .finish:
            try await DestroyVM.finish(job, in: context)
            return .ended
        case .follow: return try await ExpungeOperation(context: context).attempt(job)
        case .superseded: return try await context.supersede(job, "destroy.superseded")
        }
        await context.faults.reach("destroy.before-command")
        let end = await context.driver(of: job.host).destroy(command, as: job.command)
        await context.faults.reach("destroy.before-write")
        switch end {
        case .done:
            try await DestroyVM.finish(job, command, in: context)
            return .ended
        case .rejected(let fault) where fault.code != .libvirtUnavailable: return .again(fault, .backoff)
        case .failed(let fault): return .again(fault, .backoff)
        case .rejected(let fault), .notSent(let fault), .outcomeUnknown(let fault):
            // A node that stops gives the job back as it is.
            if Task.isCancelled { return .again(fault, .answer) }
            return try await leave(job, fault)
        }
    }

    private func turn(of job: Job) async throws -> Turn {
        try await context.database.read { tx in
            guard let vm = try tx.vm(job.vm), vm.operation == job.id else { return .superseded }
            switch vm.state {
            case .destroying: return try DestroyVM.command(for: job, tx).map { .send($0) } ?? .finish
            case .expunging: return .follow
            case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .stopping,
                .stopped,
                .crashed, .unknown, .destroyed:
                return .superseded
            }
        }
    }

    /// The host cannot do it now, or whether it did is not known. Without a domain only leftovers remain, and they never
    /// need the user to wait; with one it is left to a GC job, if that was allowed.
    private func leave(_ job: Job, _ fault: Fault) async throws -> Attempt {
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("destroy.defer") { tx in
            var end = JobEnd(.succeeded, .deferred)
            if let vm = try tx.vm(job.vm), vm.operation == job.id {
                let principal = Principal(name: job.requestedBy)
                if vm.state.placement == nil {
                    var next = try vm.after(.destroyed(keptUntil: tx.keptUntil(settings)))
                    next.operation = nil
                    try tx.settle(vm, destroyed: next, by: principal, ids, settings)
                    if vm.expungeAt == nil { end = JobEnd(.succeeded, .destroyed) }
                } else if job.payload.isDeferrable ?? false {
                    var next = try vm.after(.hostLost(tx.reasonUnreachable(job.host) ?? .outcomeUnknown))
                    next.operation = nil
                    let stored = try tx.replace(vm, with: next)
                    try tx.leave(
                        .fresh(
                            .destroyVM, for: stored, at: job.placement, payload: job.payload, by: principal, ids: ids,
                            now: tx.now), settings)
                } else {
                    try tx.loseSight(ofPlacementOf: job)
                    return .again(fault, .host)
                }
            }
            try tx.end(job, underLease: job.leaseToken, as: end)
            return .ended
        }
    }
}
