import Domain

/// Clears away what a placement that is over has left on its host: the console log, on a host where the VM is not any more.
///
/// It ends no domain: should there still be one, it waits until that is gone. Once the VM has been back on the host, what lies
/// there is its own again, and the host refuses.
struct ReleasePlacementJob: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        let isHostThere = try await context.database.read { tx in
            try tx.host(job.host).map { $0.deletedAt == nil } ?? false
        }
        guard isHostThere else {
            try await finish(job, JobEnd(.cancelled, .hostDeleted))
            return .ended
        }
        await context.faults.reach("gc-release.before-command")
        let command = ReleaseVMCommand(vm: job.vm, epoch: job.epoch)
        let end = await context.driver(of: job.host).release(command, as: job.command)
        await context.faults.reach("gc-release.before-write")
        switch end {
        case .done: try await finish(job, JobEnd(.succeeded, .released))
        // The VM has been on the host since.
        case .rejected(let fault) where fault.code == .staleEpoch:
            try await finish(job, JobEnd(.superseded, .superseded))
        case .rejected(let fault) where fault.code == .libvirtUnavailable: return .again(fault, .host)
        case .rejected(let fault), .failed(let fault): return .again(fault, .backoff)
        case .notSent(let fault): return .again(fault, .host)
        case .outcomeUnknown(let fault): return .again(fault, .answer)
        }
        return .ended
    }

    private func finish(_ job: Job, _ end: JobEnd) async throws {
        try await context.database.write("gc-release.finish") { tx in
            try tx.end(job, underLease: job.leaseToken, as: end)
        }
    }
}

extension Transaction {
    /// Leaves the clearing away of what `vm` has left where it was at `past`, unless it is on that host still or again.
    func leaveRelease(
        of vm: VM, at past: Placement?, by principal: Principal, _ ids: any IDSource, _ settings: ControlSettings
    ) throws {
        guard let past, vm.latestPlacement?.host != past.host, let host = try host(past.host), host.deletedAt == nil
        else { return }
        try leave(
            .fresh(
                .releasePlacement, for: vm, at: past, payload: JobPayload(isDeferrable: true), by: principal, ids: ids,
                now: now),
            settings)
    }
}
