import Domain

/// Ends a destroyed VM's domain and removes what it holds on one host, when that host can be asked again.
struct DestroyVMJob: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard try await isWanted(job) else { return .ended }
        await context.faults.reach("gc-destroy.before-command")
        let command = DestroyVMCommand(vm: job.vm, epoch: job.epoch, removesDisk: job.payload.removesDisk ?? true)
        let end = await context.driver(of: job.host).destroy(command, as: job.command)
        await context.faults.reach("gc-destroy.before-write")
        switch end {
        case .done:
            try await DestroyVM.finish(job, in: context)
            return .ended
        case .rejected(let fault) where fault.code == .libvirtUnavailable: return .again(fault, .host)
        case .rejected(let fault), .failed(let fault): return .again(fault, .backoff)
        case .notSent(let fault): return .again(fault, .host)
        case .outcomeUnknown(let fault): return .again(fault, .answer)
        }
    }

    /// Whether it is still to be done; if not, its end is written.
    private func isWanted(_ job: Job) async throws -> Bool {
        guard try await context.database.read({ tx in try tx.reasonToCancelDestroy(job) }) != nil else { return true }
        return try await context.database.write("gc-destroy.cancel") { tx in
            guard let end = try tx.reasonToCancelDestroy(job) else { return true }
            if end.outcome == .hostDeleted { try tx.abandonWork(of: job) }
            try tx.end(job, underLease: job.leaseToken, as: end)
            return false
        }
    }
}

extension Transaction {
    fileprivate func reasonToCancelDestroy(_ job: Job) throws -> JobEnd? {
        let host = try host(job.host)
        guard host?.deletedAt == nil else { return JobEnd(.cancelled, .hostDeleted) }
        guard let vm = try vm(job.vm) else {
            // An orphan that somebody wants gone; but no disk goes from under a domain that has been seen since.
            let isSeen = try sightings(of: job.vm).contains { $0.host != job.host }
            return isSeen ? JobEnd(.superseded, .superseded) : nil
        }
        switch vm.state {
        case .destroying, .destroyed: return nil
        case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .stopping,
            .stopped, .crashed, .unknown:
            // What lies there may have got an owner since the job was written.
            return vm.ownsFiles(in: host?.facts?.pool, on: job.host) ? JobEnd(.superseded, .superseded) : nil
        }
    }
}

/// The end that the operation and the GC job share.
enum DestroyVM {
    /// The host holds nothing of the VM any more: it is destroyed if it was to be, and the job ends with it.
    static func finish(_ job: Job, in context: Context) async throws {
        try await context.database.write("destroy.finish") { tx in
            if let vm = try tx.vm(job.vm), vm.state.label == .destroying,
                vm.state.placement == nil || vm.state.placement == job.placement
            {
                var next = try vm.after(.destroyed)
                next.operation = nil
                _ = try tx.replace(vm, with: next)
            }
            try tx.forgetSighting(of: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, .destroyed))
        }
    }
}
