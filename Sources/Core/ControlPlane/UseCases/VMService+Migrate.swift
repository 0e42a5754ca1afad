package import Domain

/// What a user wants of a move.
package struct MigrateRequest: Sendable {
    /// Where to (id or name); nil lets placement choose.
    package var host: String?
    /// Whether the guest goes on all the while. If not, it is stopped here, by its power button at first, and started there.
    package var isLive: Bool
    package var options: MigrationOptions
    /// The guest's own time to power off, seconds, for a move that is not live.
    package var stopTimeout: Int

    package init(
        host: String? = nil, isLive: Bool = true, options: MigrationOptions = MigrationOptions(), stopTimeout: Int = 120
    ) {
        self.host = host
        self.isLive = isLive
        self.options = options
        self.stopTimeout = stopTimeout
    }

    func check() throws(Fault) {
        guard MigrationOptions.timeoutLimits.contains(options.timeout) else {
            throw Fault.invalid("timeout", "must be from 1 to \(MigrationOptions.timeoutLimits.upperBound) seconds.")
        }
        guard StopRequest.timeoutLimits.contains(stopTimeout) else {
            throw Fault.invalid("stopTimeout", "must be from 0 to \(StopRequest.timeoutLimits.upperBound) seconds.")
        }
        guard !isLive else { return }
        for (field, isSet) in [
            ("autoConverge", options.autoConverges), ("postCopy", options.allowsPostCopy),
            ("copyStorage", options.copiesStorage),
        ] where isSet {
            throw Fault.invalid(field, "is for live moves only.", hint: "Leave it out, or move the guest live.")
        }
    }
}

extension VMService {
    /// Accepts a move of a running or paused guest to another host: grants a placement there with a new epoch, beside the
    /// one that it has, and leaves the work to the engine. Both hosts' capacity is held until it is known where the guest is.
    package func migrate(_ reference: String, _ request: MigrateRequest, by caller: Caller) async throws -> Job {
        try request.check()
        let (ids, policy) = (context.ids, context.settings.capacity)
        return try await context.database.write("vm.migrate") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let vm = try tx.resolveVM(reference)
            try caller.check(revision: vm.revision)
            try tx.checkIdle(vm)
            guard let source = vm.state.placement, [.running, .paused].contains(vm.state.label) else {
                throw Fault.impossible("migrated", vm)
            }
            if let lost = try tx.reasonUnreachable(source.host) {
                throw try tx.unreachable(source.host, lost, "migrate", isDeferrable: false)
            }
            let (target, options) = try tx.target(of: request, for: vm, leaving: source, policy)
            let operation = try tx.grantMove(
                of: vm, from: source,
                MoveOrder(
                    target: target.id, options: request.isLive ? options : nil,
                    stopTimeout: request.isLive ? nil : request.stopTimeout, principal: caller.principal, ids: ids))
            try tx.remember(caller, resource: operation.id.rawValue)
            return operation
        }
    }
}

/// A move that is decided on: where to, how, for whom, and as part of which drain.
struct MoveOrder {
    let target: HostID
    /// nil for a move that is not live.
    let options: MigrationOptions?
    var stopTimeout: Int?
    let principal: Principal
    var drain: JobID?
    let ids: any IDSource
}

extension Transaction {
    /// Grants `vm` a placement with a new epoch beside the one that it has, and enqueues the operation that moves it. Whether
    /// the target can take it is for the caller to see to, in this transaction.
    func grantMove(of vm: VM, from source: Placement, _ order: MoveOrder) throws -> Job {
        let destination = Placement(host: order.target, epoch: vm.epoch.next)
        var next = try vm.after(.migrationGranted(destination))
        next.wish += 1
        var payload = JobPayload(
            timeout: order.stopTimeout, destination: destination, migration: order.options,
            arrivalCommand: CommandID(from: order.ids))
        payload.drain = order.drain
        if vm.state.label == .paused { payload.isPaused = true }
        let operation = Job.fresh(
            .migrateOperation, for: next, at: source, payload: payload, by: order.principal, ids: order.ids, now: now)
        next.operation = operation.id
        _ = try replace(vm, with: next, by: order.principal)
        return try enqueue(operation)
    }

    /// Where the move leads, and what it is to carry.
    fileprivate func target(
        of request: MigrateRequest, for vm: VM, leaving source: Placement, _ policy: CapacityPolicy
    ) throws -> (Host, MigrationOptions) {
        if let wanted = request.host, try resolveHost(wanted).id == source.host {
            throw Fault(
                .conflict, .invalidState, "VM \(vm.name) is on host \(try hostName(source.host)) already.",
                hint: "Name another host, or none and let Roost choose.", field: "host")
        }
        let hasDisk = try resolveImage(vm.image.rawValue).kind == .disk
        var options = request.options
        var need = PlacementNeed(of: vm)
        if options.copiesStorage { need.pool = nil }
        let target: Host
        do {
            target = try placementHost(for: need, wanted: request.host, except: source.host, policy)
        } catch let fault as Fault where fault.code == .diskElsewhere {
            throw Fault(
                fault.kind, fault.code, fault.message,
                hint: "Copy it along with --copy-storage, or choose a host that shares the pool.")
        }
        // Nothing is to be copied where there is no disk, or where both hosts have it.
        options.copiesStorage = options.copiesStorage && hasDisk && target.facts?.pool != vm.pool
        if request.isLive, let mismatch = Fault.mismatch(moving: vm, from: try host(source.host), to: target) {
            throw mismatch
        }
        return (target, options)
    }
}

extension Fault {
    /// Why a live guest cannot go on at `target`; nil if it can.
    static func mismatch(moving vm: VM, from source: Host?, to target: Host) -> Fault? {
        let types = (source?.facts?.hypervisor.domainType, target.facts?.hypervisor.domainType)
        guard types.0 != types.1 else { return nil }
        return Fault(
            .conflict, .migrationImpossible,
            "Host \(target.name) runs guests as '\(types.1 ?? "?")', and VM \(vm.name) runs as '\(types.0 ?? "?")'.",
            hint: "Choose a host of the same kind, or move it with live: false.")
    }
}
