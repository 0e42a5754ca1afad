import Domain

/// Ends a destroyed VM's domain on one host, when that host can be asked again. The root disk stays, unless the destroy was
/// to keep nothing.
struct DestroyVMJob: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard try await isWanted(job) else { return .ended }
        guard let command = try await context.database.read({ tx in try DestroyVM.command(for: job, tx) }) else {
            try await DestroyVM.finish(job, in: context)
            return .ended
        }
        await context.faults.reach("gc-destroy.before-command")
        let end = await context.driver(of: job.host).destroy(command, as: job.command)
        await context.faults.reach("gc-destroy.before-write")
        switch end {
        case .done:
            try await DestroyVM.finish(job, command, in: context)
            return .ended
        case .rejected(let fault) where fault.code == .staleEpoch: return try await yield(job, fault)
        case .rejected(let fault) where fault.code == .libvirtUnavailable: return .again(fault, .host)
        case .rejected(let fault), .failed(let fault): return .again(fault, .backoff)
        case .notSent(let fault): return .again(fault, .host)
        case .outcomeUnknown(let fault): return .again(fault, .answer)
        }
    }

    /// Whether it is still to be done; if not, its end is written.
    private func isWanted(_ job: Job) async throws -> Bool {
        guard try await context.database.read({ tx in try tx.reasonToCancelDestroy(job) }) != nil else { return true }
        let settings = context.settings
        return try await context.database.write("gc-destroy.cancel") { tx in
            guard let end = try tx.reasonToCancelDestroy(job) else { return true }
            if end.outcome == .hostDeleted { try tx.abandonWork(of: job, settings) }
            try tx.end(job, underLease: job.leaseToken, as: end)
            return false
        }
    }

    /// A domain of another epoch is there: this job's is gone. Unless the VM's own destroy depends on it, nothing is left to
    /// do.
    private func yield(_ job: Job, _ fault: Fault) async throws -> Attempt {
        let isOver = try await context.database.write("gc-destroy.yield") { tx in
            if let vm = try tx.vm(job.vm), vm.state.label == .destroying, vm.latestPlacement == job.placement {
                return false
            }
            try tx.forgetSighting(of: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.superseded, .superseded))
            return true
        }
        return isOver ? .ended : .again(fault, .backoff)
    }
}

extension Transaction {
    fileprivate func reasonToCancelDestroy(_ job: Job) throws -> JobEnd? {
        let host = try host(job.host)
        guard host?.deletedAt == nil else { return JobEnd(.cancelled, .hostDeleted) }
        guard let vm = try vm(job.vm) else {
            return try job.removesDisk && isSeen(job.vm, beside: job.host) ? JobEnd(.superseded, .superseded) : nil
        }
        switch vm.state {
        case .destroying, .destroyed, .expunging: return nil
        case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .stopping, .stopped,
            .crashed, .unknown:
            // The VM lives: its present domain is not for this job to end, and what lies on the host may have got an owner
            // since the job was written.
            let isItsOwn =
                vm.state.placement(on: job.host) == job.placement
                || job.removesDisk && vm.ownsFiles(in: host?.facts?.pool, on: job.host)
            return isItsOwn ? JobEnd(.superseded, .superseded) : nil
        }
    }

    /// Whether a domain of a VM without a record was seen on another host than this: no disk goes from under it.
    func isSeen(_ vm: VMID, beside host: HostID) throws -> Bool {
        try sightings(of: vm).contains { $0.host != host }
    }
}

extension Job {
    /// Whether a destroy was made to remove the disk as well.
    var removesDisk: Bool { payload.removesDisk ?? true }
}

/// What the operation and the GC job share.
enum DestroyVM {
    /// What to send; nil if the VM is known to have no domain, and what lies on the host is to stay.
    ///
    /// The disk goes only if nothing can bring the VM back and no stray domain can use it, or if the record does not own what
    /// lies there; whatever the job was made for.
    static func command(for job: Job, _ tx: any Transaction) throws -> DestroyVMCommand? {
        let vm = try tx.vm(job.vm)
        var removesDisk = job.removesDisk
        if let vm, vm.latestPlacement == job.placement {
            removesDisk = try removesDisk && vm.isGivenUp(at: tx.now) && tx.strayJobs(of: vm).isEmpty
        } else if let vm {
            removesDisk = try removesDisk && !vm.ownsFiles(in: tx.host(job.host)?.facts?.pool, on: job.host)
        }
        if let vm, !removesDisk, vm.state.label == .destroying, vm.state.placement == nil,
            vm.latestPlacement == job.placement
        {
            return nil
        }
        return DestroyVMCommand(vm: job.vm, epoch: job.epoch, removesDisk: removesDisk)
    }

    /// The host has no domain of the VM any more, by `command` or already before: the VM is destroyed if it was to be, or
    /// its record removed if its disk is gone too, and the job ends with it.
    static func finish(_ job: Job, _ command: DestroyVMCommand? = nil, in context: Context) async throws {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("destroy.finish") { tx in
            var outcome = JobOutcome.destroyed
            if let vm = try tx.vm(job.vm), vm.state.label == .destroying, vm.latestPlacement == job.placement {
                let principal = Principal(name: job.requestedBy)
                var next = try vm.after(.destroyed(keptUntil: tx.keptUntil(settings)))
                next.operation = nil
                if command?.removesDisk ?? false, try tx.strayJobs(of: vm).isEmpty {
                    try tx.removeRecord(of: vm, by: principal)
                    outcome = .expunged
                } else if vm.expungeAt == nil {
                    _ = try tx.replace(vm, with: next)
                } else {
                    try tx.expunge(vm, as: next, besides: job.id, by: principal, ids, settings)
                    if job.kind.purpose == .operation { outcome = .deferred }
                }
            }
            try tx.forgetSighting(of: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, outcome))
        }
    }
}
