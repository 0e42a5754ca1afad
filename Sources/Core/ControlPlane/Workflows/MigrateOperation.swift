import Domain

/// Moves a guest to another host.
///
/// The record names both ends until it is known where the guest is. Every attempt repeats the same two commands under the
/// same ids: the destination is prepared once and the source moves the guest once, whatever breaks in between. What else
/// comes of it than an arrival is found out by asking both hosts, and is written in one conditional change.
struct MigrateOperation: Workflow {
    let context: Context
    let turns: MoveTurns

    struct Order: Sendable {
        let vm: VM
        let image: Image
        let destination: Placement
        /// It is too late to begin what was asked for: only what an earlier attempt came to is found out.
        let isLate: Bool
        let isCancelled: Bool
        /// The guest was stopped at the source already.
        let hasDeparted: Bool
    }

    func attempt(_ job: Job) async throws -> Attempt {
        guard let drain = job.payload.drain else { return try await move(job) }
        let hasTurn = try await takeTurn(job, drain)
        defer { if hasTurn { turns.giveBack(job.host) } }
        // A node that stops gives the job back as it is.
        guard hasTurn || !Task.isCancelled else { return .again(.stopping, .host) }
        return try await move(job)
    }

    /// Waits until few enough guests are moved from the host by its drain. False: the move is to be broken off, because
    /// somebody asked for that or the drain has ended before the move's turn came; or the node stops.
    private func takeTurn(_ job: Job, _ drain: JobID) async throws -> Bool {
        while !Task.isCancelled {
            let ticket = context.feed.ticket(.jobs)
            let (isWanted, isDraining, hasBegun) = try await context.database.read { tx in
                let isWanted = try tx.job(job.id).map { !$0.state.isEnded && $0.payload.isCancelRequested != true }
                return (
                    isWanted ?? false, try tx.job(drain).map { !$0.state.isEnded } ?? false,
                    try tx.stepOutput(of: job.id, named: Self.turn) != nil
                )
            }
            guard isWanted else { return false }
            guard isDraining || hasBegun else {
                try await drop(job)
                return false
            }
            if turns.take(job.host) {
                do { if !hasBegun { try await noteTurn(job) } } catch {
                    turns.giveBack(job.host)
                    throw error
                }
                return true
            }
            await context.feed.wait(past: ticket, atMost: context.settings.sweepInterval, context.time)
        }
        return false
    }

    /// From here on the move is made, whatever becomes of its drain, also by another server.
    private func noteTurn(_ job: Job) async throws {
        try await context.database.write("migrate.turn") { tx in
            guard try tx.recordStep("taken", of: job.id, named: Self.turn, underLease: job.leaseToken) else {
                throw LeaseLost()
            }
        }
    }

    private static let turn = "turn"

    private func drop(_ job: Job) async throws {
        try await context.database.write("migrate.drop") { tx in
            guard var next = try tx.job(job.id), !next.state.isEnded else { throw LeaseLost() }
            next.payload.isCancelRequested = true
            if try tx.replace(next, underLease: job.leaseToken) == nil { throw LeaseLost() }
        }
    }

    private func move(_ job: Job) async throws -> Attempt {
        guard let order = try await order(for: job) else {
            return try await context.supersede(job, "migrate.superseded")
        }
        guard let options = job.payload.migration else {
            return try await ColdMove(context: context, move: self).attempt(job, order)
        }
        if order.isCancelled || order.isLate { return try await findOut(job, order) }
        let landing: MigrationLanding
        switch await prepare(job, order, options) {
        case .ready(let there): landing = there
        case .over(let fault): return try await settle(job, order, fault)
        case .again(let fault, let wait):
            if !Task.isCancelled { try await loseSight(of: order.destination, in: job) }
            return .again(fault, wait)
        }
        await context.faults.reach("migrate.before-command")
        let command = MigrateVMCommand(
            vm: job.vm, epoch: job.epoch, destination: order.destination.host, arrivalEpoch: order.destination.epoch,
            landing: landing, options: options)
        let end = await withCancellation(of: job) {
            await context.driver(of: job.host).migrate(command, as: job.command)
        }
        await context.faults.reach("migrate.before-write")
        return try await act(on: end, of: job, order)
    }

    private func act(on end: CommandEnd, of job: Job, _ order: Order) async throws -> Attempt {
        switch end {
        case .done(let result) where result.effect == .landed: return try await arrive(job, order)
        case .done: return try await land(job, order)
        case .rejected(let fault), .failed(let fault): return try await settle(job, order, fault)
        case .notSent(let fault):
            // A node that stops gives the job back as it is.
            if Task.isCancelled { return .again(fault, .host) }
            // Only the first attempt knows that no earlier one was sent.
            guard job.attempts > 1 else { return try await settle(job, order, fault) }
            try await loseSight(of: job.placement, in: job)
            return .again(fault, .host)
        case .outcomeUnknown(let fault):
            if !Task.isCancelled { try await loseSight(of: job.placement, in: job) }
            return .again(fault, .answer)
        }
    }

    /// What to do, or nil if the VM has moved on.
    private func order(for job: Job) async throws -> Order? {
        let lateAfter = context.settings.resendLimit
        return try await context.database.read { tx in
            guard let destination = job.payload.destination, let vm = try tx.vm(job.vm), vm.operation == job.id,
                let image = try tx.image(vm.image)
            else { return nil }
            let isUnderWay = vm.state.move.map { $0.source == job.placement && $0.destination == destination }
            guard isUnderWay ?? (vm.state.placement == destination) else { return nil }
            return Order(
                vm: vm, image: image, destination: destination,
                isLate: job.attempts > 1 && tx.now > job.createdAt.adding(lateAfter),
                isCancelled: try tx.job(job.id)?.payload.isCancelRequested ?? false, hasDeparted: isUnderWay == nil)
        }
    }

    // MARK: The destination

    private enum Preparation {
        case ready(MigrationLanding)
        case over(Fault)
        case again(Fault, Attempt.Wait)
    }

    private func prepare(_ job: Job, _ order: Order, _ options: MigrationOptions) async -> Preparation {
        await context.faults.reach("migrate.before-prepare")
        let command = PrepareMigrationCommand(
            vm: job.vm, epoch: order.destination.epoch, source: job.host, image: ImageSource(order.image),
            copiesStorage: options.copiesStorage)
        let end = await context.driver(of: order.destination.host).prepare(command, as: job.arrivalCommand)
        await context.faults.reach("migrate.prepared")
        switch end {
        case .done(let result):
            return result.landing.map { .ready($0) }
                ?? .over(Fault(.bug, .internalError, "The host prepared itself, and said not where."))
        case .rejected(let fault), .failed(let fault): return .over(fault)
        case .notSent(let fault):
            if Task.isCancelled { return .again(fault, .host) }
            return job.attempts == 1 ? .over(fault) : .again(fault, .host)
        case .outcomeUnknown(let fault): return .again(fault, .answer)
        }
    }

    // MARK: Cancelling

    /// Runs `body`, and meanwhile tells the source to break the move off once somebody asks for that.
    private func withCancellation(of job: Job, _ body: @escaping @Sendable () async -> CommandEnd) async -> CommandEnd {
        await withTaskGroup(of: CommandEnd?.self) { group in
            group.addTask { await body() }
            group.addTask {
                await passOnCancel(of: job)
                return nil
            }
            defer { group.cancelAll() }
            while let end = await group.next() {
                if let end { return end }
            }
            return .outcomeUnknown(Fault(.bug, .internalError, "The move was left alone."))
        }
    }

    private func passOnCancel(of job: Job) async {
        while !Task.isCancelled {
            let ticket = context.feed.ticket(.jobs)
            let isWanted = try? await context.database.read { tx in try tx.job(job.id)?.payload.isCancelRequested }
            guard isWanted == true else {
                await context.feed.wait(past: ticket, atMost: context.settings.sweepInterval, context.time)
                continue
            }
            let cancel = CancelMigrationCommand(vm: job.vm, epoch: job.epoch)
            let end = await context.driver(of: job.host).cancelMigration(cancel, as: CommandID(from: context.ids))
            if case .done = end { return }
            // The move may only be on its way to the host.
            try? await context.time.sleep(for: .milliseconds(200))
        }
    }

    /// Finds out what came of the move without beginning it: it is not wanted any more, or not so late.
    private func findOut(_ job: Job, _ order: Order) async throws -> Attempt {
        let fault =
            order.isCancelled
            ? Fault.cancelled
            : Fault(.unavailable, .hostUnreachable, "The hosts could not be reached in time for the move.")
        guard job.attempts > 1 else { return try await settle(job, order, fault) }
        if order.isCancelled {
            let cancel = CancelMigrationCommand(vm: job.vm, epoch: job.epoch)
            _ = await context.driver(of: job.host).cancelMigration(cancel, as: CommandID(from: context.ids))
        }
        switch await context.sessions.settle(job.command, on: job.host, limit: context.settings.stopLimit) {
        case .ended(let outcome): return try await act(on: CommandEnd(outcome), of: job, order)
        case .neverReceived: return try await settle(job, order, fault)
        case .unknown(let why):
            try await loseSight(of: job.placement, in: job)
            return .again(why, .host)
        }
    }

    // MARK: The end

    /// The source does not have the guest any more: the destination is told that it may go on there.
    private func land(_ job: Job, _ order: Order) async throws -> Attempt {
        await context.faults.reach("migrate.before-land")
        let id = CommandID(from: context.ids)
        let command = CompleteMigrationCommand(
            vm: job.vm, epoch: order.destination.epoch, resumes: job.payload.isPaused != true)
        let end = await context.driver(of: order.destination.host).completeMigration(command, as: id)
        await context.faults.reach("migrate.landed")
        switch end {
        case .done:
            await context.sessions.acknowledge(id, on: order.destination.host)
            return try await arrive(job, order)
        case .rejected(let fault), .failed(let fault):
            await context.sessions.acknowledge(id, on: order.destination.host)
            let seen = await context.inspect(order.destination.host)?.sight(of: job.vm, order.destination.epoch)
            if seen == .absent { return try await finish(job, order, .gone(.foundGone), failing: fault) }
            try await loseSight(of: order.destination, in: job)
            return .again(fault, .answer)
        case .notSent(let fault):
            if !Task.isCancelled { try await loseSight(of: order.destination, in: job) }
            return .again(fault, .host)
        case .outcomeUnknown(let fault):
            if !Task.isCancelled { try await loseSight(of: order.destination, in: job) }
            return .again(fault, .answer)
        }
    }

    /// The destination lets the guest go on.
    private func arrive(_ job: Job, _ order: Order) async throws -> Attempt {
        let seen = await context.inspect(order.destination.host)?.sight(of: job.vm, order.destination.epoch)
        return try await finish(job, order, .arrived(seen == .paused ? .paused : .running))
    }

    /// The source is not at it any more, and has not said that the guest arrived: both hosts are asked.
    private func settle(_ job: Job, _ order: Order, _ fault: Fault) async throws -> Attempt {
        let source = await context.inspect(job.host)?.sight(of: job.vm, job.epoch) ?? .unseen
        let destination =
            await context.inspect(order.destination.host)?.sight(of: job.vm, order.destination.epoch) ?? .unseen
        switch MoveVerdict(source: source, destination: destination) {
        case .stayed(let seen): return try await stay(job, order, seen, fault)
        case .arrived: return try await land(job, order)
        case .ended: return try await finish(job, order, .gone(.foundGone), failing: fault)
        case .waitForSource:
            try await loseSight(of: job.placement, in: job)
            return .again(fault, source == .unseen ? .host : .answer)
        case .waitForDestination:
            try await loseSight(of: order.destination, in: job)
            return .again(fault, destination == .unseen ? .host : .answer)
        }
    }

    /// The guest never left. What was made ready for it is ended, now or by a GC job.
    private func stay(_ job: Job, _ order: Order, _ seen: VMEvent.SeenAs, _ fault: Fault) async throws -> Attempt {
        let stop = StopVMOnHypervisor(
            vm: job.vm, epoch: order.destination.epoch, mode: .force, timeout: .zero, ignoreNotFound: true)
        let id = CommandID(from: context.ids)
        let end = await context.driver(of: order.destination.host).stop(stop, as: id)
        await context.faults.reach("migrate.before-stay")
        let isClosed: Bool
        switch end {
        case .done:
            isClosed = true
            await context.sessions.acknowledge(id, on: order.destination.host)
        case .notSent, .rejected, .failed, .outcomeUnknown: isClosed = false
        }
        return try await finish(job, order, .stayed(seen), failing: fault, isClosed: isClosed)
    }

    func finish(
        _ job: Job, _ order: Order, _ end: MigrationEnd, failing fault: Fault? = nil, isClosed: Bool = true
    ) async throws -> Attempt {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("migrate.finish") { tx in
            let change = ChangeVMState(
                vm: job.vm, event: .migrationSettled(end), expectedHost: job.host, expectedEpoch: job.epoch)
            var verdict = JobEnd(.succeeded, .migrated)
            if let fault {
                let isCancelled = try tx.job(job.id)?.payload.isCancelRequested ?? false
                verdict = isCancelled ? JobEnd(.cancelled, .cancelledByUser) : .failed(fault)
            }
            let leftover = Leftover(job, order, ids: ids, settings: settings)
            switch try tx.apply(change, ending: job.id) {
            case .superseded(let vm):
                try tx.release(vm, from: job)
                verdict = JobEnd(.superseded, .superseded)
            case .applied(let vm):
                if case .arrived = end {
                    try tx.settleStorage(of: vm, leftover)
                } else {
                    try tx.leaveRelease(of: vm, at: order.destination, leftover)
                }
                if !isClosed { try tx.leaveStop(atDestinationOf: vm, leftover) }
            }
            try tx.end(job, underLease: job.leaseToken, as: verdict)
        }
        // A hand may have changed it before this was written: what the host shows now has the last word.
        if case .arrived = end {
            await context.inspect(order.destination.host)
        } else {
            await context.inspect(job.host)
        }
        return .ended
    }

    func loseSight(of placement: Placement, in job: Job) async throws {
        try await context.database.write("migrate.unknown") { tx in
            guard let vm = try tx.vm(job.vm), vm.operation == job.id, vm.state.placements.contains(placement) else {
                return
            }
            try tx.loseSight(of: vm, on: placement.host, tx.reasonUnreachable(placement.host) ?? .outcomeUnknown)
        }
    }
}

/// What a move leaves for GC jobs.
private struct Leftover: Sendable {
    let job: Job
    let order: MigrateOperation.Order
    let ids: any IDSource
    let settings: ControlSettings

    init(_ job: Job, _ order: MigrateOperation.Order, ids: any IDSource, settings: ControlSettings) {
        self.job = job
        self.order = order
        self.ids = ids
        self.settings = settings
    }

    func gcJob(_ kind: JobKind, for vm: VM, at placement: Placement, _ payload: JobPayload, now: Timestamp) -> Job {
        .fresh(
            kind, for: vm, at: placement, payload: payload, by: Principal(name: job.requestedBy), ids: ids, now: now)
    }
}

extension Transaction {
    /// What the guest left behind is cleared away; with the disk, which is the destination pool's now, if it was copied along.
    fileprivate func settleStorage(of vm: VM, _ leftover: Leftover) throws {
        guard leftover.job.payload.migration?.copiesStorage == true,
            let pool = try host(leftover.order.destination.host)?.facts?.pool
        else { return try leaveRelease(of: vm, at: leftover.job.placement, leftover) }
        var next = vm
        next.pool = pool
        let stored = try replace(vm, with: next)
        let payload = JobPayload(removesDisk: true)
        try leave(
            leftover.gcJob(.deleteVolume, for: stored, at: leftover.job.placement, payload, now: now),
            leftover.settings)
    }

    fileprivate func leaveRelease(of vm: VM, at past: Placement, _ leftover: Leftover) throws {
        let principal = Principal(name: leftover.job.requestedBy)
        try leaveRelease(of: vm, at: past, by: principal, leftover.ids, leftover.settings)
    }

    /// The destination has not confirmed that nothing of the move can come up there.
    fileprivate func leaveStop(atDestinationOf vm: VM, _ leftover: Leftover) throws {
        let payload = JobPayload(mode: .force, timeout: 0, isDeferrable: true)
        try leave(
            leftover.gcJob(.stopVM, for: vm, at: leftover.order.destination, payload, now: now), leftover.settings)
    }
}

extension Job {
    /// The command that a move sends to its destination.
    var arrivalCommand: CommandID { payload.arrivalCommand ?? CommandID(trusted: id.rawValue) }
}

extension Fault {
    fileprivate static let stopping = Fault(.unavailable, .hostUnreachable, "The server stops before the move began.")
    static let cancelled = Fault(.conflict, .superseded, "The move was cancelled.")
}
