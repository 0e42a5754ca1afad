package import Domain

extension VMService {
    /// Accepts a destroy: the domain is ended; the record and the root disk are kept for a time, or, with `expunges`,
    /// removed as well.
    ///
    /// Supersedes any start or stop. A VM without a domain needs no host for it, and is destroyed at once. When the host
    /// cannot be asked: refused with `host-unreachable`, or, if deferrable, left to a GC job. A VM that is destroyed already
    /// can still be expunged by it.
    package func destroy(
        _ reference: String, isDeferrable: Bool, expunges: Bool = false, by caller: Caller
    ) async throws -> Job {
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("vm.destroy") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let vm = try tx.resolveVM(reference, orDestroyed: expunges)
            try caller.check(revision: vm.revision)
            try tx.checkSettled(vm)
            switch vm.state {
            case .migrating, .unknown(_, .movedAway), .unknown(_, .recordsRestored):
                try tx.checkIdle(vm)
                throw Fault.impossible("deleted", vm)
            case .destroyed where expunges:
                return try tx.expunge(destroyed: vm, .destroyOperation, by: caller, ids, settings)
            case .destroyed, .destroying, .expunging: throw Fault.impossible("deleted", vm)
            case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .stopping, .stopped, .crashed,
                .unknown:
                break
            }
            let order = DestroyOrder(
                vm: vm, caller: caller, isDeferrable: isDeferrable,
                keepsNothing: expunges || settings.keepDestroyed <= .zero, ids: ids, settings: settings)
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
    let keepsNothing: Bool
    let ids: any IDSource
    let settings: ControlSettings

    func job(_ kind: JobKind, for vm: VM, at placement: Placement, now: Timestamp) -> Job {
        let payload = JobPayload(isDeferrable: isDeferrable, removesDisk: keepsNothing)
        return .fresh(kind, for: vm, at: placement, payload: payload, by: caller.principal, ids: ids, now: now)
    }
}

extension Transaction {
    fileprivate func accept(_ order: DestroyOrder) throws -> Job {
        let vm = order.vm
        var next = try vm.after(.destroyRequested)
        next.wish += 1
        if order.keepsNothing { next.expungeAt = now }
        guard let target = vm.state.placement else { return try finishAtOnce(order, next) }
        let lost = try reasonUnreachable(target.host)
        if let lost, !order.isDeferrable || lost == .hostDeleted { throw try unreachable(target.host, lost, "delete") }
        try supersedeAll(vm, ownedFromNowOn: target)
        guard let lost else {
            let operation = order.job(.destroyOperation, for: next, at: target, now: now)
            next.operation = operation.id
            _ = try replace(vm, with: next, by: order.caller.principal)
            return try enqueue(operation)
        }
        next = try next.after(.hostLost(lost))
        try leave(order.job(.destroyVM, for: next, at: target, now: now), order.settings)
        next.operation = nil
        _ = try replace(vm, with: next, by: order.caller.principal)
        let operation = order.job(.destroyOperation, for: next, at: target, now: now)
        return try enqueue(operation.ended(JobEnd(.succeeded, .deferred), at: now))
    }

    /// The VM has no domain anywhere: it is destroyed in this transaction, and no host is needed to keep what is left of it.
    private func finishAtOnce(_ order: DestroyOrder, _ requested: VM) throws -> Job {
        try supersedeAll(order.vm, ownedFromNowOn: nil)
        var next = try requested.after(.destroyed(keptUntil: keptUntil(order.settings)))
        next.operation = nil
        let placement = order.vm.latestPlacement ?? Placement(host: .nowhere, epoch: order.vm.epoch)
        let operation = order.job(.destroyOperation, for: next, at: placement, now: now)
        guard !order.keepsNothing else {
            let stored = try expunge(
                order.vm, as: next, followedBy: operation, by: order.caller.principal, order.ids, order.settings)
            return stored ?? operation
        }
        _ = try replace(order.vm, with: next, by: order.caller.principal)
        return try enqueue(operation.ended(JobEnd(.succeeded, .destroyed), at: now))
    }

    /// Ends what earlier wishes still have queued for the VM. Stops go on where their domain may linger; only that of the
    /// placement that the destroy's own job is about gives way to it.
    private func supersedeAll(_ vm: VM, ownedFromNowOn target: Placement?) throws {
        for job in try unfinishedJobs(of: vm.id) {
            switch job.kind {
            case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
                .migrateOperation, .recoverOperation, .expungeOperation, .unknownOperation:
                try end(job, as: JobEnd(.superseded, .superseded))
            case .stopVM where job.placement == target: try end(job, as: JobEnd(.cancelled, .vmDestroyed))
            case .stopVM, .destroyVM, .deleteVolume, .adoptVM, .releasePlacement, .destroyOperation, .maintainOperation,
                .unknownGC:
                break
            }
        }
    }
}
