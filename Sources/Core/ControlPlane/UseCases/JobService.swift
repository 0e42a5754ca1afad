package import Domain

/// What users ask of operations and GC jobs.
package struct JobService: Sendable {
    let context: Context

    package init(_ context: Context) { self.context = context }

    package func operation(_ reference: String) async throws -> Job {
        try await context.database.read { tx in try tx.resolveJob(reference, .operation) }
    }

    package func gcJob(_ reference: String) async throws -> Job {
        try await context.database.read { tx in try tx.resolveJob(reference, .gc) }
    }

    /// Operations or GC jobs; the purpose is set by the caller's filter.
    package func jobs(_ purpose: JobKind.Purpose, _ query: ListQuery) async throws -> ListPage<Job> {
        try await context.database.read { tx in
            var query = query
            query.filters["purpose"] = purpose.rawValue
            try tx.resolveFilters(&query)
            return try tx.jobs(query)
        }
    }

    /// The operation once it has ended, or as it is when `limit` is over.
    package func wait(for reference: String, atMost limit: Duration) async throws -> Job {
        let deadline = context.time.monotonic() + limit
        while true {
            let ticket = context.feed.ticket(.anything)
            let job = try await operation(reference)
            let left = deadline - context.time.monotonic()
            if job.state.isEnded || left <= .zero || Task.isCancelled { return job }
            await context.feed.wait(past: ticket, atMost: left, context.time)
        }
    }

    /// Cancels a move: the guest stays where it is, if it has not gone over to the destination by then. Cancels a drain:
    /// what it had granted goes on, and the host stays in maintenance. Answers with an operation that has ended as it is;
    /// refuses to cancel others, because their command may have taken effect already.
    package func cancelOperation(_ reference: String, by caller: Caller) async throws -> Job {
        try await context.database.write("operation.cancel") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let job = try tx.resolveJob(reference, .operation)
            try caller.check(revision: job.revision)
            guard !job.state.isEnded else {
                try tx.remember(caller, resource: job.id.rawValue)
                return job
            }
            if job.kind == .maintainOperation {
                try tx.remember(caller, resource: job.id.rawValue)
                return try tx.end(job, as: JobEnd(.cancelled, .cancelledByUser))
            }
            if job.kind == .migrateOperation, job.payload.migration != nil {
                try tx.remember(caller, resource: job.id.rawValue)
                return try tx.requestCancel(of: job, by: caller.principal)
            }
            throw Fault(
                .conflict, .invalidState,
                "The \(job.kind.label) has begun, and its command may have taken effect already.",
                hint: "A later wish overtakes it: stop or delete the VM.")
        }
    }

    /// Makes a waiting GC job due now.
    package func trigger(_ reference: String, by caller: Caller) async throws -> Job {
        try await context.database.write("job.trigger") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .gc) }
            let job = try tx.resolveJob(reference, .gc)
            try caller.check(revision: job.revision)
            try tx.remember(caller, resource: job.id.rawValue)
            switch job.state {
            case .running: return job
            case .ended(let end):
                throw Fault(
                    .conflict, .invalidState, "The GC job has ended: \(end.outcome.rawValue).",
                    hint: "See the VM: roost vm show \(job.vm).")
            case .waiting: break
            }
            var next = job
            next.nextAttemptAt = tx.now
            let stored = try tx.replace(next, atRevision: job.revision)
            try tx.append(
                Event(
                    kind: "job.triggered", vm: job.vm, host: job.host, job: job.id, epoch: job.epoch,
                    message: "GC job \(job.kind.label) was triggered by hand.", principal: caller.principal.name))
            return stored
        }
    }

    /// Cancels a GC job. What it was to clean up stays, and the VM is what its host says of it.
    ///
    /// A command of it that is on its way may still have its effect. Refused while a VM is being deleted: nothing else would
    /// end that.
    package func cancelGCJob(_ reference: String, by caller: Caller) async throws -> Job {
        let (job, isNews) = try await context.database.write("job.cancel") { tx in
            if let earlier = try tx.remembered(caller) { return (try tx.resolveJob(earlier, .gc), false) }
            let job = try tx.resolveJob(reference, .gc)
            try caller.check(revision: job.revision)
            try tx.remember(caller, resource: job.id.rawValue)
            guard !job.state.isEnded else { return (job, false) }
            return (try tx.cancel(job, by: caller.principal), true)
        }
        if isNews { await context.inspect(job.host) }
        return job
    }

    package func explain(_ reference: String) async throws -> JobExplanation {
        try await context.database.read { tx in
            let job = try tx.resolveJob(reference, .gc)
            return JobExplanation(
                job: job, vm: try tx.vm(job.vm), host: try tx.host(job.host), steps: try tx.steps(of: job.id))
        }
    }
}

extension Transaction {
    /// Whoever works on the move sees it and breaks it off; one that waits is due now.
    fileprivate func requestCancel(of job: Job, by principal: Principal) throws -> Job {
        guard job.payload.isCancelRequested != true else { return job }
        var next = job
        next.payload.isCancelRequested = true
        if case .waiting = job.state { next.nextAttemptAt = now }
        let stored = try replace(next, atRevision: job.revision)
        try append(
            Event(
                kind: "operation.cancel", vm: job.vm, host: job.host, job: job.id, epoch: job.epoch,
                message: "The \(job.kind.label) is to be cancelled.", principal: principal.name))
        return stored
    }

    /// Ends a GC job because somebody asked for it.
    fileprivate func cancel(_ job: Job, by principal: Principal) throws -> Job {
        let vm = try vm(job.vm)
        if let vm, vm.isEnded(by: job) {
            throw Fault(
                .conflict, .invalidState, "VM \(vm.name) is being expunged, and this job is what ends it.",
                hint: "If its host is gone for good, delete that: roost host delete \(try hostName(job.host)) --force.")
        }
        if let vm, job.kind == .destroyVM, vm.state.label == .destroying, vm.latestPlacement == job.placement {
            throw Fault(
                .conflict, .invalidState, "VM \(vm.name) is being deleted, and this job is what ends it.",
                hint: "If its host is gone for good, prove it: roost host fence \(try fenceReference(of: job.host)) "
                    + "--proof TEXT.")
        }
        let ended = try end(job, as: JobEnd(.cancelled, .cancelledByUser))
        // Nothing pursues the stop any more.
        if let vm, vm.state.placement == job.placement, vm.operation == nil, let next = try? vm.after(.stopGivenUp) {
            _ = try replace(vm, with: next, by: principal)
        }
        return ended
    }
}

/// What a GC job's owner can know of it; the words are derived from the facts.
package struct JobExplanation: Sendable {
    package let job: Job
    package let vm: VM?
    package let host: Host?
    package let steps: [JobStep]

    private var vmName: String { vm?.name ?? job.vm.rawValue }
    private var hostName: String { host?.name ?? job.host.rawValue }

    package var doing: String {
        switch job.kind {
        case .startOperation:
            "Starts a domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName)."
        case .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation:
            "Asks host \(hostName) once to \(job.kind.label) the domain of VM \(vmName) with epoch \(job.epoch), and finds "
                + "out what came of it."
        case .migrateOperation:
            "Moves VM \(vmName) from host \(hostName) to another, and finds out where it is."
        case .adoptVM:
            "Gives the domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName) the epoch that was granted for it, "
                + "and places the VM there."
        case .maintainOperation: "Drains host \(hostName)."
        case .stopVM, .stopOperation:
            "Stops the domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName) "
                + "(\(job.payload.mode?.rawValue ?? "cold")), and no other; then records the VM as stopped if it is still "
                + "placed there with that epoch."
        case .destroyVM, .destroyOperation:
            "Ends the domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName), if there is one"
                + (job.payload.removesDisk ?? true
                    ? ", and removes its root disk and what else it holds there." : "; its root disk stays.")
        case .deleteVolume, .expungeOperation:
            "Removes the root disk and the console log of VM \(vmName) from host \(hostName), and a domain with epoch "
                + "\(job.epoch), should there be one"
                + (vm?.state == .expunging && vm?.latestPlacement == job.placement
                    ? "; then the VM's record." : ". No record owns what lies there.")
        case .recoverOperation: "Brings the destroyed VM \(vmName) back."
        }
    }

    package var waitsBecause: String {
        switch job.state {
        case .ended(let end): return "It has ended: \(end.outcome.rawValue)."
        case .running: return "It does not wait: \(job.owner ?? "a node") works on it."
        case .waiting: break
        }
        guard let host, host.deletedAt == nil else { return "Its host was deleted; the next attempt cancels it." }
        guard host.connection == .connected else { return "Host \(hostName) is \(host.connection.rawValue)." }
        guard host.libvirtAnswers else { return "libvirt on host \(hostName) does not answer." }
        return job.lastError.map { "The latest attempt failed: \($0)" } ?? "It is due."
    }

    package var wokenBy: [String] {
        guard !job.state.isEnded else { return [] }
        return [
            "the next session of host \(hostName)", "libvirt on host \(hostName) answering again",
            "roost gc run \(job.id)", "its next attempt, at the latest",
        ]
    }

    package var cancelledBy: [String] {
        guard !job.state.isEnded else { return [] }
        var reasons = ["deleting host \(hostName) with --force"]
        if isCancellable { reasons.append("roost gc delete \(job.id)") }
        if job.kind == .stopVM, vm != nil {
            reasons.append("deleting VM \(vmName), whose own job then ends the domain")
        }
        return reasons
    }

    private var isCancellable: Bool {
        switch job.kind {
        case .destroyVM: vm?.state.label != .destroying
        case .deleteVolume: !(vm?.isEnded(by: job) ?? false)
        case .stopVM, .adoptVM: true
        case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
            .migrateOperation, .destroyOperation, .recoverOperation, .expungeOperation,
            .maintainOperation:
            false
        }
    }
}
