package import Domain

/// What becomes of a VM once it is destroyed: it is kept for a time, then given up. Only what is written here ends in the
/// removal of a disk.
extension Transaction {
    /// Writes that no domain of `vm` runs any more: `next` is its record then, destroyed. It is kept for its time, or given
    /// up at once where the destroy was to keep nothing.
    func settle(
        _ vm: VM, destroyed next: VM, by principal: Principal, _ ids: any IDSource, _ settings: ControlSettings
    ) throws {
        if vm.expungeAt == nil {
            _ = try replace(vm, with: next, by: principal)
        } else {
            try expunge(vm, as: next, by: principal, ids, settings)
        }
    }

    /// Gives up what is left of a VM, and leaves its removal to a job on the host that holds it; where no host does, the
    /// record goes in this transaction.
    ///
    /// - Parameters:
    ///   - vm: the row as it is; the write holds only while nobody has changed it, so that a VM that was recovered
    ///     meanwhile is not hit.
    ///   - destroyed: what the row says of it when it is destroyed.
    ///   - operation: what a user asked for. It ends with the job if the host can be asked now, and is deferred otherwise.
    ///   - worker: the job that does this under its lease, and ends itself.
    /// - Returns: the operation, as it is stored.
    @discardableResult
    func expunge(
        _ vm: VM, as destroyed: VM, followedBy operation: Job? = nil, besides worker: JobID? = nil,
        by principal: Principal, _ ids: any IDSource, _ settings: ControlSettings
    ) throws -> Job? {
        guard let target = destroyed.latestPlacement, let host = try host(target.host), host.deletedAt == nil else {
            let outcome: JobOutcome = try abandonedHost(of: vm) == nil ? .expunged : .hostDeleted
            try removeRecord(of: vm, by: principal)
            return try operation.map { try enqueue($0.ended(JobEnd(.succeeded, outcome), at: now)) }
        }
        let isNow = try reasonUnreachable(target.host) == nil
        var next = try destroyed.after(.expungeRequested)
        next.operation = isNow ? operation?.id : nil
        _ = try replace(vm, with: next, by: principal)
        // The job ends the domain of this placement too, should there be one after all.
        for job in try unfinishedJobs(of: vm.id)
        where (job.kind == .stopVM || job.kind == .destroyVM) && job.placement == target && job.id != worker {
            try end(job, as: JobEnd(.cancelled, .vmDestroyed))
        }
        try leave(
            .fresh(
                .deleteVolume, for: next, at: target, payload: JobPayload(removesDisk: true), by: principal, ids: ids,
                now: now), settings)
        guard var operation else { return nil }
        guard isNow else { return try enqueue(operation.ended(JobEnd(.succeeded, .deferred), at: now)) }
        // The job ends it; if it does not come to it in this time, the operation leaves it to the job.
        operation.nextAttemptAt = now.adding(settings.stopLimit)
        return try enqueue(operation)
    }

    /// Removes the record of a VM of which nothing is left, or nothing that can be reached. The log of events stays, and says
    /// what was left behind.
    func removeRecord(of vm: VM, leaving host: Host? = nil, by principal: Principal) throws {
        try remove(vm.id, atRevision: vm.revision)
        var message = "VM \(vm.name) is expunged."
        if let host = try host ?? abandonedHost(of: vm) {
            let disk = vm.pool.map { "its root disk in pool \($0) and " } ?? ""
            message += " Left behind on deleted host \(host.name): \(disk)its console log."
        }
        try append(
            Event(
                kind: "vm.expunged", vm: vm.id, host: vm.lastHost, epoch: vm.epoch, message: message,
                principal: principal.name))
    }

    /// The host that held the VM last, if it was deleted.
    private func abandonedHost(of vm: VM) throws -> Host? {
        guard let id = vm.lastHost, let host = try host(id), host.deletedAt != nil else { return nil }
        return host
    }

    /// Unfinished jobs that pursue a domain of `vm` at other placements than its latest. While there is one, a domain may
    /// linger, or come up late, and use the disk.
    func strayJobs(of vm: VM) throws -> [Job] {
        try unfinishedJobs(of: vm.id).filter {
            ($0.kind == .stopVM || $0.kind == .destroyVM) && $0.placement != vm.latestPlacement
        }
    }

    /// Until when a VM is kept that is destroyed now.
    func keptUntil(_ settings: ControlSettings) -> Timestamp { now.adding(settings.keepDestroyed) }
}
