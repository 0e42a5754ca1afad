package import Domain

/// What the forced deletion of a host leaves behind.
package struct HostRemoval: Sendable {
    package let host: Host
    /// VMs whose domain may still run there: `unknown` until the host is fenced.
    package let unresolved: [VM]
    package let cancelled: [Job]
    package let sightings: [Sighting]
}

extension HostService {
    /// Records the operator's proof that the host is off: nothing of what was placed there runs.
    ///
    /// Frees every placement on it, and leaves a StopVM GC job for each, because a host that was not off after all may come
    /// back with its domains. Also possible for a deleted host, by its id. Refused while the host has a session.
    package func fence(_ reference: String, proof: String, by caller: Caller) async throws -> HostView {
        guard !proof.isEmpty, proof.utf8.count <= 1000 else {
            throw Fault.invalid("proof", "must say in 1 to 1000 characters how you know that the host is off.")
        }
        let (ids, settings) = (context.ids, context.settings)
        let (view, peers) = try await context.database.write("host.fence") { tx -> (HostView, Set<HostID>) in
            if let earlier = try tx.remembered(caller) { return (try tx.view(ofHost: earlier), []) }
            let host = try HostID(reference).flatMap { try tx.host($0) } ?? tx.resolveHost(reference)
            try caller.check(revision: host.revision)
            switch host.connection {
            case .disconnected: break
            case .connecting, .connected:
                throw Fault(
                    .conflict, .alreadyConnected, "Host \(host.name) is \(host.connection.rawValue), so it is not off.",
                    hint: "Power it off first, then fence it.")
            }
            try tx.remember(caller, resource: host.id.rawValue)
            let placed = try tx.vms(placedOn: host.id)
            for vm in placed {
                try tx.releaseFenced(vm, on: host.id, by: caller.principal, ids, settings)
            }
            for job in try tx.unfinishedJobs(on: host.id) {
                try tx.settleFenced(job, by: caller.principal, ids, settings)
            }
            try tx.setSightings([], on: host.id)
            var next = host
            next.fencedAt = tx.now
            next.fenceProof = proof
            tx.noteHeard(&next)
            let stored = try tx.replace(next, atRevision: host.revision)
            if host.isAwaited { try tx.settleRestored() }
            try tx.wakeDrains()
            try tx.append(
                Event(
                    kind: "host.fenced", host: host.id, message: "Host \(host.name) is fenced: \(proof)",
                    principal: caller.principal.name))
            return (try tx.view(of: stored), Set(placed.flatMap { $0.state.placements.map(\.host) }))
        }
        // The other ends of moves say what became of them.
        for peer in peers where peer != view.host.id { await context.inspect(peer) }
        return view
    }

    /// Deletes the host's record and shuts its agent out.
    ///
    /// Refused with `host-in-use` while VMs are placed there or work waits for it. Forced, it cancels that work; the VMs
    /// stay `unknown`, because nobody knows what runs there, until the host is fenced by its id.
    package func delete(_ reference: String, isForced: Bool, by caller: Caller) async throws -> HostRemoval {
        let settings = context.settings
        let removal = try await context.database.write("host.delete") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.removal(ofHost: earlier) }
            let host = try tx.resolveHost(reference)
            try caller.check(revision: host.revision)
            try tx.remember(caller, resource: host.id.rawValue)
            let placed = try tx.vms(placedOn: host.id)
            if let moving = placed.first(where: { $0.state.move != nil }) { throw Fault.moving(moving, host) }
            let jobs = try tx.unfinishedJobs(on: host.id)
            guard isForced || (placed.isEmpty && jobs.isEmpty) else { throw Fault.inUse(host, placed, jobs) }
            let cancelled = try jobs.map { try tx.cancel($0, becauseOfDeleted: host, settings) }
            let unresolved = try placed.map { try tx.abandon($0) }
            try tx.revokeJoinTokens(of: host.id)
            var next = host
            next.deletedAt = tx.now
            next.connection = .disconnected
            next.node = nil
            let stored = try tx.replace(next, atRevision: host.revision)
            let left = unresolved.isEmpty ? "" : " Unresolved VMs: \(unresolved.map(\.name).joined(separator: ", "))."
            try tx.append(
                Event(
                    kind: "host.deleted", host: host.id, message: "Host \(host.name) is deleted.\(left)",
                    principal: caller.principal.name))
            return HostRemoval(
                host: stored, unresolved: unresolved, cancelled: cancelled, sightings: try tx.sightings(on: host.id))
        }
        await context.sessions.disconnect(removal.host.id, reason: "the host was deleted")
        return removal
    }
}

extension Transaction {
    /// Frees the placement of a VM whose host is proven off, and ends the operation that was about it.
    fileprivate func releaseFenced(
        _ vm: VM, on host: HostID, by principal: Principal, _ ids: any IDSource, _ settings: ControlSettings
    ) throws {
        guard let placement = vm.state.placement(on: host) else { return }
        var next = try vm.after(placement == vm.state.destination ? .destinationFenced : .fenced)
        next.operation = nil
        if let id = vm.operation, let operation = try job(id) { try end(operation, as: .afterFence(operation.kind)) }
        guard next.state.label != .destroying else {
            next = try next.after(.destroyed(keptUntil: keptUntil(settings)))
            try settle(vm, destroyed: next, by: principal, ids, settings)
            guard vm.expungeAt == nil else { return }
            let payload = JobPayload(isDeferrable: true, removesDisk: false)
            try leave(
                .fresh(.destroyVM, for: next, at: placement, payload: payload, by: principal, ids: ids, now: now),
                settings)
            return
        }
        let stored = try replace(vm, with: next, by: principal)
        let payload = JobPayload(mode: .cold, timeout: 0, isDeferrable: true)
        try leave(
            .fresh(.stopVM, for: stored, at: placement, payload: payload, by: principal, ids: ids, now: now), settings)
    }

    /// Ends work that waits for a host proven off, of a VM that is not placed there any more: what it waited to learn is
    /// known. What an expunged VM left on the host's disk stays with a GC job, should the host come back.
    fileprivate func settleFenced(
        _ job: Job, by principal: Principal, _ ids: any IDSource, _ settings: ControlSettings
    ) throws {
        guard let vm = try vm(job.vm), vm.state.placement == nil else { return }
        var next = vm
        if vm.operation == job.id { next.operation = nil }
        switch job.kind {
        case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
            .migrateOperation, .recoverOperation, .unknownOperation:
            try end(job, as: .afterFence(job.kind))
        case .destroyOperation where vm.state == .expunging, .expungeOperation:
            try end(job, as: JobEnd(.succeeded, .deferred))
        case .destroyOperation, .destroyVM:
            guard vm.state.label == .destroying, vm.latestPlacement == job.placement else { return }
            try end(job, as: .afterFence(job.kind))
            next = try next.after(.destroyed(keptUntil: keptUntil(settings)))
            next.operation = nil
            return try settle(vm, destroyed: next, by: principal, ids, settings)
        case .stopVM, .deleteVolume, .adoptVM, .releasePlacement, .maintainOperation, .unknownGC: return
        }
        _ = try replace(vm, with: next, by: principal)
    }

    /// The host is deleted: what waits for it will not be done.
    fileprivate func cancel(_ job: Job, becauseOfDeleted host: Host, _ settings: ControlSettings) throws -> Job {
        let isExpunge = try vm(job.vm).map { $0.state == .expunging } ?? true
        try abandonWork(of: job, settings)
        return switch job.kind.purpose {
        case .gc: try end(job, as: JobEnd(.cancelled, .hostDeleted))
        // The VM is gone, as was wanted; what it held is beyond reach.
        case .operation where isExpunge: try end(job, as: JobEnd(.succeeded, .hostDeleted))
        case .operation: try end(job, as: .failed(Fault(.conflict, .hostDeleted, "Host \(host.name) was deleted.")))
        }
    }

    /// Nobody can say any more what the VM's domain does.
    fileprivate func abandon(_ vm: VM) throws -> VM {
        guard let current = try self.vm(vm.id) else { return vm }
        let next = try current.after(.hostLost(.hostDeleted))
        return next == current ? current : try replace(current, with: next)
    }

    /// What a delete that is asked for again left behind, as far as that is still so.
    fileprivate func removal(ofHost id: String) throws -> HostRemoval {
        let host = try view(ofHost: id).host
        let jobs = try jobs(ListQuery(filters: ["host": id], descending: true, limit: 500)).items
        return HostRemoval(
            host: host, unresolved: try vms(placedOn: host.id), cancelled: jobs.filter(\.wasCancelledByHostDelete),
            sightings: try sightings(on: host.id))
    }
}

extension Job {
    fileprivate var wasCancelledByHostDelete: Bool {
        switch state {
        case .ended(let end): end.outcome == .hostDeleted || end.fault?.code == .hostDeleted
        case .waiting, .running, .parked: false
        }
    }
}

extension JobEnd {
    /// What an operation came to whose host was proven off.
    fileprivate static func afterFence(_ kind: JobKind) -> JobEnd {
        switch kind {
        case .stopOperation, .stopVM: JobEnd(.succeeded, .stopped)
        case .destroyOperation, .destroyVM: JobEnd(.succeeded, .destroyed)
        case .recoverOperation: JobEnd(.succeeded, .recovered)
        case .expungeOperation, .deleteVolume: JobEnd(.succeeded, .deferred)
        case .startOperation:
            .failed(Fault(.conflict, .hostUnreachable, "The host was fenced before the VM ran."))
        case .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation, .unknownOperation:
            .failed(Fault(.conflict, .hostUnreachable, "The host was fenced before it answered."))
        case .adoptVM, .releasePlacement, .unknownGC: JobEnd(.superseded, .superseded)
        case .maintainOperation: JobEnd(.succeeded, .drained)
        case .migrateOperation:
            .failed(Fault(.conflict, .hostUnreachable, "A host of the move was fenced before the move had ended."))
        }
    }
}

extension Fault {
    /// Neither end of a move can be given up before it is known where the guest is.
    fileprivate static func moving(_ vm: VM, _ host: Host) -> Fault {
        Fault(
            .conflict, .hostInUse, "VM \(vm.name) moves from or to host \(host.name).",
            hint: "Wait for the move or cancel it; if the host is gone for good, prove it: "
                + "roost host fence \(host.name) --proof TEXT.")
    }

    fileprivate static func inUse(_ host: Host, _ vms: [VM], _ jobs: [Job]) -> Fault {
        Fault(
            .conflict, .hostInUse,
            "Host \(host.name) has \(vms.count) VMs placed on it and \(jobs.count) jobs waiting for it.",
            hint: "Stop or delete its VMs first. With --force they are left 'unknown', and the jobs are cancelled.")
    }
}
