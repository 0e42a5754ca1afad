/// What one inventory of a host tells of one VM.
package struct InventoryEntry: Hashable, Sendable {
    /// False: libvirt could not be asked, and the list says nothing at all.
    package let libvirtAnswered: Bool
    /// The VM's domain as it is listed; nil where none is.
    package let domain: ObservedDomain?
    /// The agent has a command for the VM: that no domain is listed says nothing yet.
    package let isBusy: Bool
    /// The host has booted since libvirt was last heard there.
    package let isReboot: Bool

    package init(libvirtAnswered: Bool = true, domain: ObservedDomain?, isBusy: Bool = false, isReboot: Bool = false) {
        self.libvirtAnswered = libvirtAnswered
        self.domain = domain
        self.isBusy = isBusy
        self.isReboot = isReboot
    }
}

/// What an inventory means for a VM's placement on its host.
package enum InventoryReading: Hashable, Sendable {
    /// The VM has no placement there. What is listed all the same is for `VM.disowns` to judge.
    case notPlacedThere
    /// libvirt does not answer: the domain cannot be seen.
    case silent
    /// The domain has an epoch that the record never granted: the record is older than the host, and what the VM's domain
    /// does cannot be told.
    case doubtful
    /// The host answers, and says nothing of this domain: a command is at it, or its epoch cannot be read.
    case unsettled
    /// The domain of this placement is as shown: decide on it as on any other report.
    case shows(Placement, DomainState)
}

extension VM {
    /// What `entry`, of an inventory of `host`, means for this record. Pure and total.
    package func reading(of entry: InventoryEntry, from host: HostID) -> InventoryReading {
        guard let placement = state.placement(on: host) else { return .notPlacedThere }
        guard entry.libvirtAnswered else { return .silent }
        let absence: InventoryReading =
            entry.isBusy ? .unsettled : .shows(placement, .gone(entry.isReboot ? .hostRebooted : .foundGone))
        guard let domain = entry.domain else { return absence }
        guard let epoch = domain.epoch else { return .unsettled }
        if epoch == placement.epoch { return .shows(placement, domain.state) }
        // One domain of a VM at a time: where another epoch's is, this placement's is not.
        return isNeverGranted(epoch, domain.state) ? .doubtful : absence
    }

    /// Whether `domain`, listed by an inventory of `host`, is a live one that no placement of this VM owns.
    package func disowns(_ domain: ObservedDomain, on host: HostID, _ observation: Observation) -> Bool {
        guard domain.state.isLive else { return false }
        guard let epoch = domain.epoch else { return state.placement(on: host) == nil }
        let report = DomainReport(
            vm: id, epoch: epoch, state: domain.state, host: host, observation: observation, isEvent: false)
        switch decide(on: report) {
        case .conflict, .doubt: return true
        case .advance, .confirmed, .ignored: return false
        }
    }

    /// Whether a domain is alive under an epoch above all that this record granted, as a restored database meets them.
    func isNeverGranted(_ epoch: Epoch, _ state: DomainState) -> Bool { state.isLive && epoch > self.epoch }
}

extension VMState {
    /// That `host`, where the VM is placed or moves to, cannot be asked.
    package func loss(of host: HostID, _ reason: WaitReason) -> VMEvent {
        destination?.host == host ? .destinationLost(reason) : .hostLost(reason)
    }

    /// That `host`, where the VM is placed or moves to, can be asked again.
    package func answer(of host: HostID) -> VMEvent { destination?.host == host ? .destinationAnswers : .hostAnswers }
}
