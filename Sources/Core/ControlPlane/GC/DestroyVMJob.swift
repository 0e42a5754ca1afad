import Domain

/// Ends a destroyed VM's domain and removes what it holds on one host, when that host can be asked again.
struct DestroyVMJob: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        if try await context.database.read({ tx in try tx.host(job.host)?.deletedAt != nil }) {
            return try await cancel(job)
        }
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

    private func cancel(_ job: Job) async throws -> Attempt {
        try await context.database.write("gc-destroy.cancel") { tx in
            try tx.abandonWork(of: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.cancelled, .hostDeleted))
        }
        return .ended
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
