import Domain

/// The user's own destroy. It never gives a VM back: what cannot be done now is left to a GC job, or, if that was not
/// allowed, tried until the host answers.
struct DestroyOperation: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard try await isWanted(job) else { return try await supersede(job) }
        await context.faults.reach("destroy.before-command")
        let command = DestroyVMCommand(vm: job.vm, epoch: job.epoch, removesDisk: job.payload.removesDisk ?? true)
        let end = await context.driver(of: job.host).destroy(command, as: job.command)
        await context.faults.reach("destroy.before-write")
        switch end {
        case .done:
            try await DestroyVM.finish(job, in: context)
            return .ended
        case .rejected(let fault) where fault.code != .libvirtUnavailable: return .again(fault, .backoff)
        case .failed(let fault): return .again(fault, .backoff)
        case .rejected(let fault), .notSent(let fault), .outcomeUnknown(let fault):
            // A node that stops gives the job back as it is.
            if Task.isCancelled { return .again(fault, .answer) }
            if job.payload.isDeferrable ?? false { return try await deferToGC(job) }
            try await context.database.write("destroy.unknown") { tx in try tx.loseSight(ofPlacementOf: job) }
            return .again(fault, .host)
        }
    }

    private func isWanted(_ job: Job) async throws -> Bool {
        try await context.database.read { tx in
            guard let vm = try tx.vm(job.vm) else { return false }
            return vm.operation == job.id && vm.state.label == .destroying
        }
    }

    private func supersede(_ job: Job) async throws -> Attempt {
        try await context.database.write("destroy.superseded") { tx in
            try tx.release(tx.vm(job.vm), from: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.superseded, .superseded))
        }
        return .ended
    }

    private func deferToGC(_ job: Job) async throws -> Attempt {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("destroy.defer") { tx in
            if let vm = try tx.vm(job.vm), vm.operation == job.id {
                var next = vm
                if vm.state.placement == nil {
                    // No domain anywhere: only leftovers remain for the GC job.
                    next = try next.after(.destroyed)
                } else {
                    next = try next.after(.hostLost(tx.reasonUnreachable(job.host) ?? .outcomeUnknown))
                }
                next.operation = nil
                let stored = try tx.replace(vm, with: next)
                try tx.leave(
                    .fresh(
                        .destroyVM, for: stored, at: job.placement, payload: job.payload,
                        by: Principal(name: job.requestedBy), ids: ids, now: tx.now), settings)
            }
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, .deferred))
        }
        return .ended
    }
}
