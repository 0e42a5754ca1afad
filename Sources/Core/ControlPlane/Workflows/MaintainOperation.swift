import Domain

/// Drains a host, in rounds: each looks at what is placed there, and grants every move that is possible in one transaction,
/// so that the targets' room is held for all of them at once. The moves are operations of their own; the end of one, or
/// whatever else may make room, calls for another round.
struct MaintainOperation: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        await context.faults.reach("maintain.before-round")
        let round = DrainRound(job: job, ids: context.ids, settings: context.settings, unit: context.random.unit())
        try await context.database.write("maintain.round") { tx in try tx.run(round) }
        return .settled
    }
}

/// One look at a host that is drained.
private struct DrainRound: Sendable {
    let job: Job
    let ids: any IDSource
    let settings: ControlSettings
    /// A random number in `0..<1`.
    let unit: Double

    /// Verdicts that what came of earlier work settles.
    func overrides(_ guests: [DrainedGuest], of drain: Job, now: Timestamp) -> [VMID: DrainPlan.Verdict] {
        let mayStop = drain.payload.stopsImmovable ?? false
        return guests.reduce(into: [:]) { all, guest in
            if guest.isLeftAlone {
                all[guest.vm] = .waits(.leftAlone)
            } else if let failure = guest.failure, let retryAt = guest.retryAt {
                if retryAt > now {
                    all[guest.vm] = .waits(failure)
                } else if mayStop, guest.failures >= settings.drainMoveTries {
                    all[guest.vm] = .immovable(failure)
                }
            }
        }
    }

    func moveOrder(to target: Host) -> MoveOrder {
        MoveOrder(
            target: target.id, options: MigrationOptions(), principal: Principal(name: job.requestedBy), drain: job.id,
            ids: ids)
    }

    var stopOrder: StopOrder {
        StopOrder(
            request: StopRequest(), principal: Principal(name: job.requestedBy), drain: job.id, ids: ids,
            settings: settings)
    }

    /// When the next round is due, if nothing calls for one before.
    func nextTime(_ guests: [DrainedGuest], now: Timestamp) -> Timestamp {
        let retries = guests.compactMap(\.retryAt).filter { $0 > now }
        return min(retries.min() ?? now.adding(settings.hostRetry), now.adding(settings.hostRetry))
    }
}

extension Transaction {
    fileprivate func run(_ round: DrainRound) throws {
        // A stronger wish may have been added to the row meanwhile.
        guard var drain = try job(round.job.id), !drain.state.isEnded else { throw LeaseLost() }
        guard let host = try host(drain.host), host.deletedAt == nil, host.state == .maintenance else {
            return try end(drain, underLease: round.job.leaseToken, as: .lifted)
        }
        let placed = try vms(placedOn: host.id)
        let before = drain.payload.drained ?? DrainProgress()
        let departed = before.departed + before.guests.count { guest in !placed.contains { $0.id == guest.vm } }
        guard !placed.isEmpty else {
            drain.payload.drained = DrainProgress(departed: departed)
            if try replace(drain, underLease: round.job.leaseToken) == nil { throw LeaseLost() }
            return try end(drain, underLease: round.job.leaseToken, as: JobEnd(.succeeded, .drained))
        }
        let known = try placed.map { vm in
            try takeStock(of: before.guest(vm.id) ?? DrainedGuest(vm: vm.id, name: vm.name), round)
        }
        let plan = try drainPlan(
            of: host, placed, round.settings.capacity, overrides: round.overrides(known, of: drain, now: now))
        let guests = try plan.items.map { item in
            let guest = known.first { $0.vm == item.vm.id } ?? DrainedGuest(vm: item.vm.id, name: item.vm.name)
            return try act(on: item, guest, of: drain, round)
        }
        let progress = DrainProgress(departed: departed, guests: guests)
        drain.payload.drained = progress
        drain.state = .waiting
        drain.nextAttemptAt = round.nextTime(guests, now: now)
        // The lease is given back with the round's effects, so that whatever happens from now on wakes the drain.
        if try replace(drain, underLease: round.job.leaseToken) == nil { throw LeaseLost() }
    }

    /// What came of the work that the drain had asked for.
    private func takeStock(of guest: DrainedGuest, _ round: DrainRound) throws -> DrainedGuest {
        var next = guest
        guard let id = guest.work else { return next }
        guard let work = try job(id) else {
            next.work = nil
            return next
        }
        guard case .ended(let end) = work.state else { return next }
        next.work = nil
        switch end.verdict {
        case .succeeded, .superseded: break
        case .cancelled: next.isLeftAlone = true
        case .failed:
            next.failures += 1
            next.failure = end.fault
            next.retryAt = now.adding(round.settings.retry.delay(attempts: next.failures, unit: round.unit))
        }
        return next
    }

    private func act(
        on item: DrainPlan.Item, _ guest: DrainedGuest, of drain: Job, _ round: DrainRound
    ) throws -> DrainedGuest {
        var next = guest
        (next.stage, next.target, next.fault) = (.staying, nil, nil)
        switch item.verdict {
        case .leaves(let target): (next.stage, next.target) = (target == nil ? .stopping : .moving, target)
        case .waits(let why): next.fault = why
        case .moves(let target):
            guard let source = item.vm.state.placement else { break }
            next.work = try grantMove(of: item.vm, from: source, round.moveOrder(to: target)).id
            (next.stage, next.target) = (.moving, target.id)
        case .immovable(let why):
            next.fault = why
            guard drain.payload.stopsImmovable ?? false else { break }
            next.work = try acceptStop(of: item.vm, round.stopOrder).id
            (next.stage, next.fault) = (.stopping, nil)
        }
        return next
    }
}

extension Fault {
    fileprivate static let leftAlone = Fault(
        .conflict, .superseded, "Its move was cancelled, so the drain leaves it alone.",
        hint: "Move or stop it yourself.")
}
