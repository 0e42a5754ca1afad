import Domain

/// The move of a guest that may be down for a while: stopped at the source, then started at the destination, whose
/// capacity is held for it all the while.
struct ColdMove: Sendable {
    let context: Context
    let move: MigrateOperation

    func attempt(_ job: Job, _ order: MigrateOperation.Order) async throws -> Attempt {
        if order.hasDeparted { return try await start(job, order) }
        if order.isCancelled, job.attempts == 1 { return try await stay(job, order, .cancelled) }
        await context.faults.reach("move.before-stop")
        let stop = StopVMOnHypervisor(
            vm: job.vm, epoch: job.epoch, mode: .grace, timeout: .seconds(job.payload.timeout ?? 0),
            ignoreNotFound: true)
        let end = await context.driver(of: job.host).stop(stop, as: job.command)
        await context.faults.reach("move.stopped")
        switch end {
        case .done:
            guard try await depart(job) else { return .ended }
            return try await start(job, order)
        case .rejected(let fault) where fault.code != .libvirtUnavailable: return try await stay(job, order, fault)
        case .failed(let fault): return try await stay(job, order, fault)
        case .notSent(let fault):
            if Task.isCancelled { return .again(fault, .host) }
            if job.attempts == 1 { return try await stay(job, order, fault) }
            try await move.loseSight(of: job.placement, in: job)
            return .again(fault, .host)
        case .rejected(let fault), .outcomeUnknown(let fault):
            if !Task.isCancelled { try await move.loseSight(of: job.placement, in: job) }
            return .again(fault, .answer)
        }
    }

    /// The stop had no effect that could be relied on: the VM is what its host says of it.
    private func stay(_ job: Job, _ order: MigrateOperation.Order, _ fault: Fault) async throws -> Attempt {
        let inventory = await context.inspect(job.host)
        switch inventory?.sight(of: job.vm, job.epoch) ?? .unseen {
        case .running: return try await move.finish(job, order, .stayed(.running), failing: fault)
        case .paused: return try await move.finish(job, order, .stayed(.paused), failing: fault)
        case .absent: return try await move.finish(job, order, .gone(.requested), failing: fault)
        case .moving, .unseen:
            try await move.loseSight(of: job.placement, in: job)
            return .again(fault, .host)
        }
    }

    /// The source holds no domain of the epoch any more, and lets none come up: the VM is the destination's to start.
    private func depart(_ job: Job) async throws -> Bool {
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("move.depart") { tx in
            let change = ChangeVMState(
                vm: job.vm, event: .migrationSettled(.departed), expectedHost: job.host, expectedEpoch: job.epoch)
            switch try tx.apply(change) {
            case .applied(let vm):
                try tx.leaveRelease(of: vm, at: job.placement, by: Principal(name: job.requestedBy), ids, settings)
                return true
            case .superseded(let vm):
                try tx.release(vm, from: job)
                try tx.end(job, underLease: job.leaseToken, as: JobEnd(.superseded, .superseded))
                return false
            }
        }
    }

    private func start(_ job: Job, _ order: MigrateOperation.Order) async throws -> Attempt {
        try await StartOperation(context: context, outcome: .migrated).attempt(job.atDestination(order.destination))
    }
}

extension Job {
    /// The same work, seen from where the guest is to start.
    fileprivate func atDestination(_ destination: Placement) -> Job {
        var payload = payload
        payload.command = arrivalCommand
        return Job(
            id: id, kind: kind, vm: vm, host: destination.host, epoch: destination.epoch, payload: payload,
            state: state, wish: wish, attempts: attempts, firstError: firstError, lastError: lastError,
            nextAttemptAt: nextAttemptAt, owner: owner, leaseToken: leaseToken, requestedBy: requestedBy,
            revision: revision, createdAt: createdAt,
            updatedAt: updatedAt, endedAt: endedAt)
    }
}
