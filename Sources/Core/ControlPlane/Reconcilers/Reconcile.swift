import Domain

/// Reports meet the records. Every decision is Domain's; this only finds the rows and writes.
extension Transaction {
    /// Applies a whole inventory: each VM that is placed on the host is seen or gone, and each live domain that no placement
    /// owns is put on record.
    func reconcile(_ inventory: Inventory, of host: HostID, session: Int64, isReboot: Bool) throws {
        guard inventory.libvirtAnswered else { return try loseSight(of: host, .libvirtUnavailable) }
        let observation = Observation(session: session, sequence: inventory.sequence)
        let found = Dictionary(inventory.domains.map { ($0.vm, $0) }, uniquingKeysWith: { first, _ in first })
        let busy = Set(inventory.busy)

        for vm in try vms(placedOn: host) {
            guard let placement = vm.state.placement(on: host) else { continue }
            let domain = found[vm.id]
            let state: DomainState
            if let domain, domain.epoch == placement.epoch {
                state = domain.state
            } else if let epoch = domain?.epoch, epoch > vm.epoch, domain?.state.isLive == true {
                // The record is older than the host: a restored database. Nothing that it says of this VM can be relied on.
                try doubt(vm, on: host)
                continue
            } else if busy.contains(vm.id) || (domain != nil && domain?.epoch == nil) {
                // The host answers, but not about this domain: a command is at it, or it cannot be read.
                try noteAnswer(vm, of: host)
                continue
            } else {
                state = .gone(isReboot ? .hostRebooted : .foundGone)
            }
            try apply(
                DomainReport(
                    vm: vm.id, epoch: placement.epoch, state: state, host: host, observation: observation,
                    isEvent: false))
        }

        let strangers = try inventory.domains.filter { try isStranger($0, on: host, observation) }
        try setSightings(strangers.map { sighting($0.vm, $0.epoch ?? .none, $0.state, on: host) }, on: host)
    }

    /// Whether an inventory shows a live domain that no placement owns.
    private func isStranger(_ domain: ObservedDomain, on host: HostID, _ observation: Observation) throws -> Bool {
        guard domain.state.isLive else { return false }
        guard let vm = try vm(domain.vm) else { return true }
        guard let epoch = domain.epoch else { return vm.state.placement?.host != host }
        let report = DomainReport(
            vm: vm.id, epoch: epoch, state: domain.state, host: host, observation: observation, isEvent: false)
        return vm.decide(on: report) == .conflict
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
        switch vm.decide(on: report) {
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
        case .conflict:
            let isNews = try !sightings(of: vm.id).contains { $0.host == report.host && $0.epoch == report.epoch }
            try put(sighting(vm.id, report.epoch, report.state, on: report.host))
            guard isNews else { return }
            try append(
                Event(
                    kind: "vm.conflict", vm: vm.id, host: report.host, epoch: report.epoch,
                    message: "A domain of VM \(vm.name) with epoch \(report.epoch) runs where none should be."))
        }
    }

    /// The VM no longer waits for its host to be reached, though nothing is known of its domain yet.
    private func noteAnswer(_ vm: VM, of host: HostID) throws {
        let next = try vm.after(vm.state.destination?.host == host ? .destinationAnswers : .hostAnswers)
        if next != vm { _ = try replace(vm, with: next) }
    }

    /// What the VM's domain does cannot be told, though its host answers.
    private func doubt(_ vm: VM, on host: HostID) throws { try loseSight(of: vm, on: host, .outcomeUnknown) }

    /// Nobody can be asked about the VMs that are placed on `host`.
    func loseSight(of host: HostID, _ reason: WaitReason) throws {
        for vm in try vms(placedOn: host) { try loseSight(of: vm, on: host, reason) }
    }

    /// Nobody can be asked about the domain of `vm` on `host`.
    func loseSight(of vm: VM, on host: HostID, _ reason: WaitReason) throws {
        let next = try vm.after(vm.state.destination?.host == host ? .destinationLost(reason) : .hostLost(reason))
        if next != vm { _ = try replace(vm, with: next) }
    }

    private func sighting(_ vm: VMID, _ epoch: Epoch, _ state: DomainState, on host: HostID) -> Sighting {
        let label =
            switch state {
            case .running: "running"
            case .paused: "paused"
            case .moving: "moving"
            case .gone: "gone"
            }
        return Sighting(vm: vm, host: host, epoch: epoch, state: label, seenAt: now)
    }
}
