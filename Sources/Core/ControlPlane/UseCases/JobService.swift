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
    /// what it had granted goes on, and the host stays in maintenance. Cancels what is parked: nobody works on it. Answers
    /// with an operation that has ended as it is; refuses to cancel others, because their command may have taken effect
    /// already.
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
            if job.state == .parked {
                try tx.remember(caller, resource: job.id.rawValue)
                return try tx.giveUp(job)
            }
            throw Fault(
                .conflict, .invalidState,
                "The \(job.label) has begun, and its command may have taken effect already.",
                hint: "A later wish overtakes it: stop or delete the VM.")
        }
    }

    /// Makes a waiting GC job due now, also one that is parked.
    package func trigger(_ reference: String, by caller: Caller) async throws -> Job {
        try await context.database.write("job.trigger") { tx in try tx.trigger(reference, by: caller) }
    }

    /// What `trigger` would do now. Nothing of it is kept.
    package func rehearseTrigger(_ reference: String, by caller: Caller) async throws -> JobRehearsal {
        try await context.database.rehearse { tx in
            let job = try tx.trigger(reference, by: caller.withoutKey)
            let explanation = try tx.explanation(of: job)
            switch job.state {
            case .running: return (job, [explanation.waitsBecause])
            case .waiting, .parked, .ended: break
            }
            let obstacle = try tx.reasonUnreachable(job.host) == nil ? [] : [explanation.waitsBecause]
            return (job, [explanation.doing] + obstacle)
        }
    }

    /// Cancels a GC job. What it was to clean up stays, and the VM is what its host says of it.
    ///
    /// A command of it that is on its way may still have its effect. Refused while a VM is being deleted: nothing else would
    /// end that.
    package func cancelGCJob(_ reference: String, by caller: Caller) async throws -> Job {
        let (job, isNews) = try await context.database.write("job.cancel") { tx in
            try tx.cancelGCJob(reference, by: caller)
        }
        if isNews { await context.inspect(job.host) }
        return job
    }

    /// What `cancelGCJob` would do now. Nothing of it is kept.
    package func rehearseCancel(_ reference: String, by caller: Caller) async throws -> JobRehearsal {
        try await context.database.rehearse { tx in
            let job = try tx.cancelGCJob(reference, by: caller.withoutKey).job
            guard job.unreadable == nil else { return (job, []) }
            return (job, ["Not done then: \(try tx.explanation(of: job).doing)"])
        }
    }

    package func explain(_ reference: String) async throws -> JobExplanation {
        try await context.database.read { tx in
            try tx.explanation(of: tx.resolveJob(reference, .gc))
        }
    }
}

extension Transaction {
    fileprivate func explanation(of job: Job) throws -> JobExplanation {
        JobExplanation(job: job, vm: try vm(job.vm), host: try host(job.host), steps: try steps(of: job.id))
    }

    fileprivate func trigger(_ reference: String, by caller: Caller) throws -> Job {
        if let earlier = try remembered(caller) { return try resolveJob(earlier, .gc) }
        let job = try resolveJob(reference, .gc)
        try caller.check(revision: job.revision)
        try remember(caller, resource: job.id.rawValue)
        switch job.state {
        case .running: return job
        case .ended(let end):
            throw Fault(
                .conflict, .invalidState, "The GC job has ended: \(end.outcome.rawValue).",
                hint: "See the VM: roost vm show \(job.vm).")
        case .waiting, .parked: break
        }
        var next = job
        next.state = .waiting
        next.nextAttemptAt = now
        let stored = try replace(next, atRevision: job.revision)
        try append(
            Event(
                kind: "job.triggered", vm: job.vm, host: job.host, job: job.id, epoch: job.epoch,
                message: "GC job \(job.label) was triggered by hand.", principal: caller.principal.name))
        return stored
    }

    /// The job as it is then, and whether it is this that ended it.
    fileprivate func cancelGCJob(_ reference: String, by caller: Caller) throws -> (job: Job, isNews: Bool) {
        if let earlier = try remembered(caller) { return (try resolveJob(earlier, .gc), false) }
        let job = try resolveJob(reference, .gc)
        try caller.check(revision: job.revision)
        try remember(caller, resource: job.id.rawValue)
        guard !job.state.isEnded else { return (job, false) }
        return (try cancel(job, by: caller.principal), true)
    }

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
                message: "The \(job.label) is to be cancelled.", principal: principal.name))
        return stored
    }

    /// Ends an operation that this release cannot do; the record is left as it is, for a later wish to go on from.
    fileprivate func giveUp(_ job: Job) throws -> Job {
        let vm = try vm(job.vm)
        if let vm, vm.operation == job.id, vm.state.move != nil {
            throw Fault(
                .conflict, .invalidState,
                "VM \(vm.name) moves, and only a release that can read this operation ends that.",
                hint: "Run the newer release again; or, if a host of the move is gone for good, fence it.")
        }
        try release(vm, from: job)
        return try end(job, as: JobEnd(.cancelled, .cancelledByUser))
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
