package import Domain

extension Job {
    /// A new job, due now.
    static func fresh(
        _ kind: JobKind, for vm: VM, at placement: Placement, payload: JobPayload, by principal: Principal,
        ids: any IDSource, now: Timestamp
    ) -> Job {
        var payload = payload
        payload.command = CommandID(from: ids)
        return Job(
            id: JobID(from: ids), kind: kind, vm: vm.id, host: placement.host, epoch: placement.epoch,
            payload: payload, wish: vm.wish, nextAttemptAt: now, requestedBy: principal.name, createdAt: now,
            updatedAt: now)
    }

    /// This job, ended.
    func ended(_ end: JobEnd, at now: Timestamp) -> Job {
        var next = self
        next.state = .ended(end)
        next.owner = nil
        next.endedAt = now
        return next
    }
}

extension Transaction {
    /// Ends a job from outside its worker: a later wish, a deletion, a hand. Whoever works on it can write nothing more.
    @discardableResult
    func end(_ job: Job, as end: JobEnd) throws -> Job {
        guard !job.state.isEnded else { return job }
        let stored = try replace(job.ended(end, at: now), atRevision: job.revision)
        try wakeDrains(after: job)
        try announceEnd(of: stored, end)
        return stored
    }

    /// Ends a job as its worker. Throws `LeaseLost` if the lease is lost, so that nothing of the transaction is kept.
    package func end(_ job: Job, underLease token: Int64, as end: JobEnd) throws {
        guard try self.end(job.id, underLease: token, as: end) else { throw LeaseLost() }
        try wakeDrains(after: job)
        try announceEnd(of: job, end)
    }

    /// Leaves a stop or destroy to a GC job. One that waits for the same already takes on the stronger wish.
    ///
    /// While its host cannot be asked the job is not due: the host's next session wakes it, and `hostRetry` in any case.
    @discardableResult
    func leave(_ job: Job, _ settings: ControlSettings) throws -> Job {
        var job = job
        if try reasonUnreachable(job.host) != nil { job.nextAttemptAt = now.adding(settings.hostRetry) }
        let there = try enqueue(job)
        guard there.id != job.id else {
            try append(
                Event(
                    kind: "job.waiting", vm: job.vm, host: job.host, job: job.id, epoch: job.epoch,
                    message: "GC job \(job.label) was left for its host.", principal: job.requestedBy))
            return job
        }
        guard let wanted = job.payload.mode, let has = there.payload.mode, wanted > has else { return there }
        var stronger = there
        stronger.payload.mode = wanted
        stronger.payload.timeout = job.payload.timeout
        stronger.payload.command = job.payload.command
        return try replace(stronger, atRevision: there.revision)
    }

    /// Nothing pursues `job` any more, because its host is deleted. A stop is given up, and what a delete had left to clear
    /// went with the host's record.
    func abandonWork(of job: Job, _ settings: ControlSettings) throws {
        guard let vm = try vm(job.vm) else { return }
        let principal = Principal(name: job.requestedBy)
        if vm.state == .expunging, vm.latestPlacement == job.placement {
            return try removeRecord(of: vm, leaving: host(job.host), by: principal)
        }
        guard vm.operation == nil || vm.operation == job.id else { return }
        var next = vm
        next.operation = nil
        if vm.state.label == .destroying, vm.state.placement == nil, vm.latestPlacement == job.placement {
            guard vm.expungeAt == nil else {
                return try removeRecord(of: vm, leaving: host(job.host), by: principal)
            }
            next = try next.after(.destroyed(keptUntil: keptUntil(settings)))
        } else if vm.state.placement == job.placement {
            next = (try? next.after(.stopGivenUp)) ?? next
            next = try next.after(.hostLost(.hostDeleted))
        }
        if next != vm { _ = try replace(vm, with: next) }
    }

    /// An operation on a VM has ended: a drain may go on with that VM, or find the room that it left.
    private func wakeDrains(after job: Job) throws {
        switch job.kind.purpose {
        case .operation: if job.kind != .maintainOperation { try wakeDrains() }
        case .gc: break
        }
    }

    private func announceEnd(of job: Job, _ end: JobEnd) throws {
        try append(
            Event(
                kind: "job.\(end.verdict.rawValue)", vm: job.vmIfAny, host: job.host, job: job.id, epoch: job.epoch,
                message: end.fault?.message ?? "\(job.label) ended: \(end.outcome.rawValue).",
                principal: job.requestedBy))
    }
}

/// The worker's lease was taken over or its job was ended by somebody else; what it wanted to write is void.
struct LeaseLost: Error {}
