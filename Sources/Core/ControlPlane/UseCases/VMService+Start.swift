package import Domain

extension VMService {
    /// Accepts a start: grants a placement with a new epoch, and leaves the work to the engine.
    ///
    /// Refused with `placement-unresolved` while a domain of the VM may exist anywhere.
    package func start(_ reference: String, on wanted: String?, by caller: Caller) async throws -> Job {
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("vm.start") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            var vm = try tx.resolveVM(reference)
            try caller.check(revision: vm.revision)
            try tx.endFulfilledStop(of: &vm)
            try tx.checkStartable(vm)
            let image = try tx.resolveImage(vm.image.rawValue)
            let host = try tx.placementHost(for: PlacementNeed(of: vm), wanted: wanted, settings.capacity)
            let placement = Placement(host: host.id, epoch: vm.epoch.next)
            var next = try vm.after(.startGranted(placement))
            next.wish += 1
            if image.kind == .disk { next.pool = vm.pool ?? host.facts?.pool }
            let job = Job.fresh(
                .startOperation, for: next, at: placement, payload: JobPayload(), by: caller.principal, ids: ids,
                now: tx.now)
            next.operation = job.id
            let placed = try tx.replace(vm, with: next, by: caller.principal)
            let stored = try tx.enqueue(job)
            try tx.leaveRelease(of: placed, at: vm.latestPlacement, by: caller.principal, ids, settings)
            try tx.remember(caller, resource: job.id.rawValue)
            return stored
        }
    }
}

extension Transaction {
    /// Ends a stop whose VM a report has shown to be at rest: its wish is fulfilled, whatever its command still meets.
    fileprivate func endFulfilledStop(of vm: inout VM) throws {
        guard vm.state.placement == nil, let id = vm.operation, let job = try job(id), job.kind == .stopOperation else {
            return
        }
        try end(job, as: JobEnd(.succeeded, .stopped))
        vm.operation = nil
    }

    /// Throws unless `vm` may get a placement now.
    fileprivate func checkStartable(_ vm: VM) throws {
        if let placement = vm.state.placement {
            let host = try hostName(placement.host)
            switch vm.state {
            case .unknown(_, .recordsRestored):
                throw Fault(
                    .conflict, .placementUnresolved,
                    "Where VM \(vm.name) runs is not known since the records were restored.",
                    hint: "It can start once every host was heard of, see roost recover. If it runs nowhere: "
                        + "roost vm resolve \(vm.name) --gone --proof TEXT.")
            case .unknown(_, .movedAway):
                throw Fault(
                    .conflict, .placementUnresolved,
                    "VM \(vm.name) was moved away from host \(host) behind Roost's back: its domain runs elsewhere.",
                    hint: "It is taken up where a host shows it. If it runs nowhere: "
                        + "roost vm resolve \(vm.name) --gone --proof TEXT.")
            case .unknown, .stopping, .destroying:
                throw Fault(
                    .conflict, .placementUnresolved,
                    "VM \(vm.name) is \(vm.state.sentence): its domain may still run on host \(host).",
                    hint: "It can start once \(host) answers, or is fenced: "
                        + "roost host fence \(try fenceReference(of: placement.host)) --proof TEXT.")
            case .migrating where vm.state.waiting != nil:
                throw Fault(
                    .conflict, .placementUnresolved,
                    "VM \(vm.name) is \(vm.state.sentence): its domain may run at either end of its move.",
                    hint: "It goes on by itself once both hosts answer, or one is fenced.")
            case .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .created, .stopped,
                .crashed, .destroyed, .expunging:
                break
            }
        }
        try checkIdle(vm)
        try checkSettled(vm)
        switch vm.state {
        case .created, .stopped, .crashed: break
        case .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .stopping, .unknown,
            .destroying, .destroyed, .expunging:
            throw Fault.impossible("started", vm)
        }
        if let seen = try sightings(of: vm.id).first {
            let host = try hostName(seen.host)
            throw Fault(
                .conflict, seen.epoch > vm.epoch ? .epochConflict : .placementUnresolved,
                "A domain of VM \(vm.name) with epoch \(seen.epoch) runs on host \(host), where none should be.",
                hint: "See roost gc list --vm \(vm.name); take it up or end it: "
                    + "roost vm resolve \(vm.name) --adopt|--stop \(host).")
        }
    }

    /// Throws when an operation is under way on `vm`, and names it.
    func checkIdle(_ vm: VM) throws {
        guard let operation = vm.operation else { return }
        let isParked = try job(operation)?.state == .parked
        throw Fault(
            .conflict, .operationInProgress, "Operation \(operation) is under way on VM \(vm.name).",
            hint: isParked
                ? "It needs attention, see roost operation show \(operation); roost operation cancel \(operation) ends it."
                : "Wait for it: roost operation wait \(operation).")
    }
}

extension Fault {
    /// The VM's state does not allow it; says what is possible.
    static func impossible(_ verb: String, _ vm: VM) -> Fault {
        let possible =
            switch vm.state {
            case .created, .stopped: "It can be started or deleted."
            case .crashed: "It can be started, stopped or deleted."
            case .running: "It can be paused, rebooted, reset, migrated, stopped or deleted."
            case .paused: "It can be resumed, migrated, stopped or deleted."
            case .migrating: "Its move can be cancelled: roost operation cancel \(vm.operation?.rawValue ?? "ID")."
            case .unknown(_, .recordsRestored):
                "It is settled once every host was heard of, see roost recover. If it runs nowhere: "
                    + "roost vm resolve \(vm.name) --gone --proof TEXT."
            case .unknown(_, .movedAway):
                "It is taken up where a host shows it. If it runs nowhere: "
                    + "roost vm resolve \(vm.name) --gone --proof TEXT."
            case .starting, .pausing, .resuming, .rebooting, .unknown: "It can be stopped or deleted."
            case .stopping: "It can be stopped with a stronger mode, or deleted."
            case .destroying: "It is being deleted."
            case .destroyed: "It can be recovered (roost vm recover \(vm.id)) or expunged."
            case .expunging: "It is being expunged: what is left of it is removed, and it cannot come back."
            }
        return Fault(
            .conflict, .invalidState, "VM \(vm.name) is \(vm.state.sentence) and cannot be \(verb).", hint: possible)
    }
}
