import Domain

/// Removes what lies of a VM on a host and no record wants: root disk, console log, and a domain that should not be there.
/// Of an expunged VM the record goes too, in the transaction of the job's end; else it is an orphan that somebody wants gone,
/// or what a move left behind where it copied the disk.
///
/// It acts only on a VM that is `expunging`, which nothing leaves, or of which nothing on the host is owned: a command of it
/// that comes late cannot meet a disk that somebody wants, because a VM that has come to the host since has a higher epoch
/// there.
struct DeleteVolumeJob: Workflow {
    let context: Context

    private enum Turn: Sendable {
        case remove
        case wait(Fault)
        case hostDeleted
        case superseded
    }

    func attempt(_ job: Job) async throws -> Attempt {
        switch try await turn(of: job) {
        case .remove: break
        case .wait(let fault): return try await putOff(job, fault, .host)
        case .hostDeleted: return try await abandon(job)
        case .superseded: return try await context.supersede(job, "gc-delete-volume.superseded")
        }
        await context.faults.reach("gc-delete-volume.before-command")
        let command = DestroyVMCommand(vm: job.vm, epoch: job.epoch, removesDisk: true)
        let end = await context.driver(of: job.host).destroy(command, as: job.command)
        await context.faults.reach("gc-delete-volume.before-write")
        switch end {
        case .done: return try await finish(job)
        case .rejected(let fault) where fault.code == .staleEpoch: return try await yield(job, fault)
        case .rejected(let fault) where fault.code == .libvirtUnavailable: return try await putOff(job, fault, .host)
        case .rejected(let fault), .failed(let fault): return try await putOff(job, fault, .backoff)
        case .notSent(let fault): return try await putOff(job, fault, .host)
        case .outcomeUnknown(let fault): return try await putOff(job, fault, .answer)
        }
    }

    private func turn(of job: Job) async throws -> Turn {
        try await context.database.read { tx in
            guard let host = try tx.host(job.host), host.deletedAt == nil else { return .hostDeleted }
            guard let vm = try tx.vm(job.vm) else {
                return try tx.isSeen(job.vm, beside: job.host) ? .superseded : .remove
            }
            guard vm.isEnded(by: job) else {
                return vm.ownsFiles(in: host.facts?.pool, on: job.host) ? .superseded : .remove
            }
            guard let stray = try tx.strayJobs(of: vm).first else { return .remove }
            return .wait(
                Fault(
                    .conflict, .placementUnresolved,
                    "GC job \(stray.id) has not ended yet: a domain of the VM may use its disk on host "
                        + "\(try tx.hostName(stray.host))."))
        }
    }

    private func finish(_ job: Job) async throws -> Attempt {
        try await context.database.write("gc-delete-volume.finish") { tx in
            var outcome = JobOutcome.destroyed
            if let vm = try tx.vm(job.vm), vm.isEnded(by: job) {
                try tx.endOperation(of: vm, as: JobEnd(.succeeded, .expunged))
                try tx.removeRecord(of: vm, by: Principal(name: job.requestedBy))
                outcome = .expunged
            }
            try tx.forgetSighting(of: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, outcome))
        }
        return .ended
    }

    /// It goes on later; whoever waits for it need not wait on.
    private func putOff(_ job: Job, _ fault: Fault, _ wait: Attempt.Wait) async throws -> Attempt {
        // A node that stops gives the job back as it is.
        if Task.isCancelled { return .again(fault, wait) }
        try await context.database.write("gc-delete-volume.put-off") { tx in
            guard let vm = try tx.vm(job.vm), vm.operation != nil, vm.isEnded(by: job) else { return }
            try tx.endOperation(of: vm, as: JobEnd(.succeeded, .deferred))
            var next = vm
            next.operation = nil
            _ = try tx.replace(vm, with: next)
        }
        return .again(fault, wait)
    }

    /// The host has seen a later epoch than this job is about, and keeps what lies there. That ends the job, unless a record
    /// ends with it: then what is there is shown as an orphan.
    private func yield(_ job: Job, _ fault: Fault) async throws -> Attempt {
        let isNeeded = try await context.database.read { tx in try tx.vm(job.vm)?.isEnded(by: job) ?? false }
        return isNeeded
            ? try await putOff(job, fault, .backoff) : try await context.supersede(job, "gc-delete-volume.superseded")
    }

    private func abandon(_ job: Job) async throws -> Attempt {
        let settings = context.settings
        try await context.database.write("gc-delete-volume.cancel") { tx in
            if let vm = try tx.vm(job.vm), vm.isEnded(by: job) {
                try tx.endOperation(of: vm, as: JobEnd(.succeeded, .hostDeleted))
            }
            try tx.abandonWork(of: job, settings)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.cancelled, .hostDeleted))
        }
        return .ended
    }
}

extension VM {
    /// Whether `job` removes the last of this VM, so that the record ends with it.
    func isEnded(by job: Job) -> Bool {
        job.kind == .deleteVolume && state == .expunging && latestPlacement == job.placement
    }
}

extension Transaction {
    /// Ends what a user waits for on `vm`. The record still names it: the caller writes or removes that.
    fileprivate func endOperation(of vm: VM, as end: JobEnd) throws {
        guard let id = vm.operation, let operation = try job(id), !operation.state.isEnded else { return }
        try self.end(operation, as: end)
    }
}
