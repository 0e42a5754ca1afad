import Domain

/// A domain on a host, as its conflict is known.
private struct Placed: Hashable {
    let vm: VMID
    let epoch: Epoch
}

/// Reports meet the records. Every decision is Domain's; this only finds the rows and writes.
extension Transaction {
    /// Applies a whole inventory: each VM that is placed on the host is seen or gone, and each live domain that no placement
    /// owns is put on record. Returns the VMs whose domain was moved away from the host.
    func reconcile(_ inventory: Inventory, of host: HostID, session: Int64, isReboot: Bool) throws -> [VMID] {
        var movedAway: [VMID] = []
        let observation = Observation(session: session, sequence: inventory.sequence)
        let found = Dictionary(inventory.domains.map { ($0.vm, $0) }, uniquingKeysWith: { first, _ in first })
        let busy = Set(inventory.busy)

        for vm in try vms(placedOn: host) {
            let entry = InventoryEntry(
                libvirtAnswered: inventory.libvirtAnswered, domain: found[vm.id], isBusy: busy.contains(vm.id),
                isReboot: isReboot)
            switch vm.reading(of: entry, from: host) {
            case .notPlacedThere: break
            case .silent: try loseSight(of: vm, on: host, .libvirtUnavailable)
            case .doubtful: try loseSight(of: vm, on: host, .outcomeUnknown)
            case .unsettled: try noteAnswer(vm, of: host)
            case .shows(let placement, let state):
                try apply(
                    DomainReport(
                        vm: vm.id, epoch: placement.epoch, state: state, host: host, observation: observation,
                        isEvent: false))
                if !state.isLive, try self.vm(vm.id)?.state.waiting == .movedAway { movedAway.append(vm.id) }
            }
        }

        // A list that libvirt did not give does not say that what was sighted is gone.
        guard inventory.libvirtAnswered else { return movedAway }
        let strangers = try inventory.domains.compactMap { domain -> (domain: ObservedDomain, vm: VM?)? in
            let vm = try vm(domain.vm)
            let isStranger = vm?.disowns(domain, on: host, observation) ?? domain.state.isLive
            return isStranger ? (domain, vm) : nil
        }
        let known = Set(try sightings(on: host).map { Placed(vm: $0.vm, epoch: $0.epoch) })
        for stranger in strangers {
            guard let vm = stranger.vm else { continue }
            let placed = Placed(vm: vm.id, epoch: stranger.domain.epoch ?? .none)
            if !known.contains(placed) { try announceConflict(of: vm, placed.epoch, on: host) }
        }
        try setSightings(
            strangers.map { sighting($0.domain.vm, $0.domain.epoch ?? .none, $0.domain.state, on: host) }, on: host)
        return movedAway
    }

    /// Applies a report of one domain.
    func apply(_ report: DomainReport) throws {
        guard let vm = try vm(report.vm) else {
            if report.state.isLive {
                try put(sighting(report.vm, report.epoch, report.state, on: report.host))
            } else {
                try removeSighting(of: report.vm, on: report.host)
            }
            return
        }
        switch vm.decide(on: try withCause(report)) {
        case .advance(let event):
            var next = try vm.after(event)
            next.observed = report.observation
            _ = try replace(vm, with: next)
            try removeSighting(of: vm.id, on: report.host)
        case .confirmed:
            try removeSighting(of: vm.id, on: report.host)
        case .ignored(let reason):
            if !report.state.isLive { try removeSighting(of: vm.id, on: report.host) }
            switch reason {
            case .startUnsettled, .moveUnsettled: try noteAnswer(vm, of: report.host)
            case .notPlacedThere, .stale: break
            }
        case .conflict: try noteConflict(vm, report)
        case .doubt:
            try noteConflict(vm, report)
            try loseSight(of: vm, on: report.host, .outcomeUnknown)
        }
    }

    /// An inventory without a domain does not say how it left. Where another host shows one of the very same epoch, it was
    /// moved there: an epoch's domain lives only once.
    private func withCause(_ report: DomainReport) throws -> DomainReport {
        guard report.state == .gone(.foundGone) else { return report }
        let isElsewhere = try sightings(of: report.vm).contains { $0.epoch == report.epoch && $0.host != report.host }
        guard isElsewhere else { return report }
        return DomainReport(
            vm: report.vm, epoch: report.epoch, state: .gone(.movedAway), host: report.host,
            observation: report.observation, isEvent: report.isEvent)
    }

    /// Puts a live domain that no placement of `vm` owns on record, and tells of it once.
    private func noteConflict(_ vm: VM, _ report: DomainReport) throws {
        let isNews = try !sightings(of: vm.id).contains { $0.host == report.host && $0.epoch == report.epoch }
        try put(sighting(vm.id, report.epoch, report.state, on: report.host))
        if isNews { try announceConflict(of: vm, report.epoch, on: report.host) }
    }

    private func announceConflict(of vm: VM, _ epoch: Epoch, on host: HostID) throws {
        try append(
            Event(
                kind: "vm.conflict", vm: vm.id, host: host, epoch: epoch,
                message: "A domain of VM \(vm.name) with epoch \(epoch) runs where none should be."))
    }

    /// The VM no longer waits for its host to be reached, though nothing is known of its domain yet.
    private func noteAnswer(_ vm: VM, of host: HostID) throws {
        let next = try vm.after(vm.state.answer(of: host))
        if next != vm { _ = try replace(vm, with: next) }
    }

    /// Nobody can be asked about the VMs that are placed on `host`.
    func loseSight(of host: HostID, _ reason: WaitReason) throws {
        for vm in try vms(placedOn: host) { try loseSight(of: vm, on: host, reason) }
    }

    /// Nobody can be asked about the domain of `vm` on `host`.
    func loseSight(of vm: VM, on host: HostID, _ reason: WaitReason) throws {
        let next = try vm.after(vm.state.loss(of: host, reason))
        if next != vm { _ = try replace(vm, with: next) }
    }

    private func sighting(_ vm: VMID, _ epoch: Epoch, _ state: DomainState, on host: HostID) -> Sighting {
        let label =
            switch state {
            case .running: "running"
            case .paused: "paused"
            case .starting: "starting"
            case .moving: "moving"
            case .gone: "gone"
            }
        return Sighting(vm: vm, host: host, epoch: epoch, state: label, seenAt: now)
    }
}
