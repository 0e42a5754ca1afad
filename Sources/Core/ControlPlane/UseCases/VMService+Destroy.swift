package import Domain

extension VMService {
    /// Accepts a destroy: the domain is ended, then everything that the VM held is removed.
    ///
    /// Supersedes any start or stop. A VM that was never started is gone at once. When the host cannot be asked: refused with
    /// `host-unreachable`, or, if deferrable, left to a GC job; then a VM without a placement is `destroyed` at once, and the
    /// job only clears leftovers.
    package func destroy(_ reference: String, isDeferrable: Bool, by caller: Caller) async throws -> Job {
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("vm.destroy") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let vm = try tx.resolveVM(reference)
            try caller.check(revision: vm.revision)
            switch vm.state {
            case .migrating, .unknown(_, .movedAway):
                try tx.checkIdle(vm)
                throw Fault.impossible("deleted", vm)
            case .destroyed, .destroying: throw Fault.impossible("deleted", vm)
            case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .stopping, .stopped, .crashed,
                .unknown:
                break
            }
            let order = DestroyOrder(vm: vm, caller: caller, isDeferrable: isDeferrable, ids: ids, settings: settings)
            let operation = try tx.accept(order)
            try tx.remember(caller, resource: operation.id.rawValue)
            return operation
        }
    }
}

private struct DestroyOrder {
    let vm: VM
    let caller: Caller
    let isDeferrable: Bool
    let ids: any IDSource
    let settings: ControlSettings

    /// Where leftovers of the VM are: its placement, else where it was last.
    var target: Placement? {
        vm.state.placement ?? vm.lastPlacement
    }

    func job(_ kind: JobKind, for vm: VM, at placement: Placement, now: Timestamp) -> Job {
        let payload = JobPayload(isDeferrable: isDeferrable, removesDisk: true)
        return .fresh(kind, for: vm, at: placement, payload: payload, by: caller.principal, ids: ids, now: now)
    }
}

extension Transaction {
    fileprivate func accept(_ order: DestroyOrder) throws -> Job {
        let vm = order.vm
        var next = try vm.after(.destroyRequested)
        next.wish += 1
        guard let target = order.target, try host(target.host)?.deletedAt == nil || vm.state.placement != nil else {
            // Nothing of it is on any host.
            return try finishAtOnce(order, next, at: order.target, .destroyed)
        }
        let lost = try reasonUnreachable(target.host)
        if let lost, !order.isDeferrable || lost == .hostDeleted { throw try unreachable(target.host, lost, "delete") }
        try supersedeAll(vm, at: target)
        guard let lost else {
            let operation = order.job(.destroyOperation, for: next, at: target, now: now)
            next.operation = operation.id
            _ = try replace(vm, with: next, by: order.caller.principal)
            return try enqueue(operation)
        }
        if vm.state.placement != nil { next = try next.after(.hostLost(lost)) }
        try leave(order.job(.destroyVM, for: next, at: target, now: now), order.settings)
        guard vm.state.placement != nil else { return try finishAtOnce(order, next, at: target, .deferred) }
        next.operation = nil
        _ = try replace(vm, with: next, by: order.caller.principal)
        let operation = order.job(.destroyOperation, for: next, at: target, now: now)
        return try enqueue(operation.ended(JobEnd(.succeeded, .deferred), at: now))
    }

    /// The VM has no domain anywhere: its record is destroyed in this transaction.
    private func finishAtOnce(
        _ order: DestroyOrder, _ requested: VM, at target: Placement?, _ outcome: JobOutcome
    ) throws -> Job {
        var next = try requested.after(.destroyed)
        next.operation = nil
        _ = try replace(order.vm, with: next, by: order.caller.principal)
        let placement = target ?? Placement(host: HostID.nowhere, epoch: order.vm.epoch)
        let operation = order.job(.destroyOperation, for: next, at: placement, now: now)
        return try enqueue(operation.ended(JobEnd(.succeeded, outcome), at: now))
    }

    /// Ends what earlier wishes still have queued for the VM. Stops of other placements go on: their domain may linger.
    private func supersedeAll(_ vm: VM, at target: Placement) throws {
        for job in try unfinishedJobs(of: vm.id) {
            switch job.kind {
            case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
                .migrateOperation:
                try end(job, as: JobEnd(.superseded, .superseded))
            case .stopVM where job.placement == target: try end(job, as: JobEnd(.cancelled, .vmDestroyed))
            case .stopVM, .destroyVM, .adoptVM, .destroyOperation: break
            }
        }
    }
}
