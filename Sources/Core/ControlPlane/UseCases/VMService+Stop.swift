package import Domain

/// What a user wants of a stop.
package struct StopRequest: Sendable {
    package var mode: StopMode
    /// The guest's own time for a graceful stop, seconds.
    package var timeout: Int
    /// Whether the stop may be left to a GC job when the host cannot be reached or its outcome is unknown.
    package var isDeferrable: Bool
    /// Refused unless the VM is placed on this host (id or name).
    package var expectedHost: String?
    /// Refused unless the VM's placement has this epoch.
    package var expectedEpoch: Epoch?

    package static let timeoutLimits = 0...3600

    package init(
        mode: StopMode = .grace, timeout: Int = 120, isDeferrable: Bool = false, expectedHost: String? = nil,
        expectedEpoch: Epoch? = nil
    ) {
        self.mode = mode
        self.timeout = timeout
        self.isDeferrable = isDeferrable
        self.expectedHost = expectedHost
        self.expectedEpoch = expectedEpoch
    }
}

extension VMService {
    /// Accepts a stop. A stop supersedes a start that is under way, and a weaker stop.
    ///
    /// When the host cannot be asked: refused with `host-unreachable`, or, if deferrable, the VM is `stopping` and a GC job
    /// waits for the host; the operation has ended then, with outcome `deferred`.
    package func stop(_ reference: String, _ request: StopRequest, by caller: Caller) async throws -> Job {
        guard StopRequest.timeoutLimits.contains(request.timeout) else {
            throw Fault.invalid("timeout", "must be from 0 to \(StopRequest.timeoutLimits.upperBound) seconds.")
        }
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("vm.stop") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let vm = try tx.resolveVM(reference)
            try caller.check(revision: vm.revision)
            let operation = try tx.acceptStop(
                of: vm, StopOrder(request: request, principal: caller.principal, ids: ids, settings: settings))
            try tx.remember(caller, resource: operation.id.rawValue)
            return operation
        }
    }
}

/// A stop that is asked for, by whom, and as part of which drain.
struct StopOrder {
    let request: StopRequest
    let principal: Principal
    var drain: JobID?
    let ids: any IDSource
    let settings: ControlSettings

    fileprivate var payload: JobPayload {
        var payload = JobPayload(mode: request.mode, timeout: request.timeout, isDeferrable: request.isDeferrable)
        payload.drain = drain
        return payload
    }

    fileprivate func job(_ kind: JobKind, for vm: VM, at placement: Placement, now: Timestamp) -> Job {
        .fresh(kind, for: vm, at: placement, payload: payload, by: principal, ids: ids, now: now)
    }
}

extension Transaction {
    /// A crashed VM has no domain: the wish takes note of the crash, and has succeeded with that.
    private func noteStop(ofCrashed vm: VM, _ order: StopOrder) throws -> Job {
        try checkIdle(vm)
        var next = try vm.after(.stopRequested)
        next.wish += 1
        let stored = try replace(vm, with: next, by: order.principal)
        let placement = vm.lastPlacement ?? Placement(host: .nowhere, epoch: vm.epoch)
        let operation = order.job(.stopOperation, for: stored, at: placement, now: now)
        return try enqueue(operation.ended(JobEnd(.succeeded, .stopped), at: now))
    }

    /// Records that `vm` is to stop, and enqueues the operation; throws where that is not possible.
    func acceptStop(of vm: VM, _ order: StopOrder) throws -> Job {
        let request = order.request
        if case .crashed = vm.state { return try noteStop(ofCrashed: vm, order) }
        guard let placement = vm.state.placement, vm.state.label != .destroying else {
            throw Fault.impossible("stopped", vm)
        }
        if vm.state.move != nil || vm.state.waiting?.isAstray == true {
            try checkIdle(vm)
            throw Fault.impossible("stopped", vm)
        }
        try check(request, against: placement, of: vm)
        try supersede(vm, withStop: request.mode)
        let lost = try reasonUnreachable(placement.host)
        // No session of a deleted host ever wakes a job: its VMs wait for the fence alone.
        if let lost, !request.isDeferrable || lost == .hostDeleted {
            throw try unreachable(placement.host, lost, "stop")
        }
        var next = try vm.after(.stopRequested)
        if let lost { next = try next.after(.hostLost(lost)) }
        next.wish += 1
        let operation = order.job(.stopOperation, for: next, at: placement, now: now)
        next.operation = lost == nil ? operation.id : nil
        let stored = try replace(vm, with: next, by: order.principal)
        guard lost != nil else { return try enqueue(operation) }
        try leave(order.job(.stopVM, for: stored, at: placement, now: now), order.settings)
        return try enqueue(operation.ended(JobEnd(.succeeded, .deferred), at: now))
    }

    fileprivate func check(_ request: StopRequest, against placement: Placement, of vm: VM) throws {
        if let wanted = request.expectedHost, try resolveHost(wanted).id != placement.host {
            throw Fault(
                .conflict, .superseded, "VM \(vm.name) is on host \(try hostName(placement.host)), not on \(wanted).",
                hint: "Read the VM again and decide on what it is now.")
        }
        if let wanted = request.expectedEpoch, wanted != placement.epoch {
            throw Fault(
                .conflict, .staleEpoch, "VM \(vm.name) has epoch \(placement.epoch), not \(wanted).",
                hint: "Read the VM again and decide on what it is now.")
        }
    }

    /// Ends the operation under way if a stop of `mode` is the later and stronger wish; refuses otherwise.
    fileprivate func supersede(_ vm: VM, withStop mode: StopMode) throws {
        guard let id = vm.operation, let job = try job(id), !job.state.isEnded else { return }
        switch job.kind {
        case .startOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation: break
        case .stopOperation:
            guard mode > (job.payload.mode ?? .grace) else { return try checkIdle(vm) }
        case .migrateOperation, .destroyOperation, .recoverOperation, .expungeOperation, .maintainOperation, .stopVM,
            .destroyVM, .deleteVolume, .adoptVM, .releasePlacement, .unknownOperation, .unknownGC:
            return try checkIdle(vm)
        }
        try end(job, as: JobEnd(.superseded, .superseded))
    }

    /// Why `host` cannot be asked now; nil if it can.
    func reasonUnreachable(_ host: HostID) throws -> WaitReason? {
        guard let host = try self.host(host), host.deletedAt == nil else { return .hostDeleted }
        guard host.connection == .connected else { return .hostDisconnected }
        return host.libvirtAnswers ? nil : .libvirtUnavailable
    }

    func unreachable(
        _ host: HostID, _ reason: WaitReason, _ verb: String, isDeferrable: Bool = true
    ) throws -> Fault {
        let name = try hostName(host)
        let later = isDeferrable ? ", or let the \(verb) wait for it with --defer." : "."
        return switch reason {
        case .libvirtUnavailable:
            Fault(
                .unavailable, .libvirtUnavailable, "libvirt on host \(name) does not answer.",
                hint: "Start libvirtd there\(later)")
        case .hostDeleted:
            Fault(
                .conflict, .hostDeleted, "Host \(name) was deleted while the VM was placed there: nobody can be asked.",
                hint: "Prove that it is off: roost host fence \(try fenceReference(of: host)) --proof TEXT.")
        case .hostDisconnected, .outcomeUnknown, .movedAway, .recordsRestored:
            Fault(
                .unavailable, .hostUnreachable, "Host \(name) cannot be reached.",
                hint: "Try again when it is back\(later)")
        }
    }
}
