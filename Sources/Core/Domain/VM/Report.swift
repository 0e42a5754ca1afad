/// What an agent saw of one domain.
package struct DomainReport: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let state: DomainState
    package let host: HostID
    package let observation: Observation
    /// Whether it tells of a change that libvirt announced: then a domain that is gone was really there before. An
    /// inventory only shows that there is none.
    package let isEvent: Bool

    package init(
        vm: VMID, epoch: Epoch, state: DomainState, host: HostID, observation: Observation, isEvent: Bool
    ) {
        self.vm = vm
        self.epoch = epoch
        self.state = state
        self.host = host
        self.observation = observation
        self.isEvent = isEvent
    }

    package var placement: Placement { Placement(host: host, epoch: epoch) }
}

/// A domain as libvirt shows it. *Gone* is an answer of a libvirt that is up; silence is never a state.
package enum DomainState: Hashable, Sendable {
    case running
    case paused
    /// libvirt is at its start, or broke off in the middle of it: that the guest ever runs is not said.
    case starting
    /// Its CPUs are halted by libvirt for a move to or from another host.
    case moving
    case gone(StopCause)

    package var isLive: Bool {
        switch self {
        case .running, .paused, .starting, .moving: true
        case .gone: false
        }
    }
}

/// What a report does to the record.
package enum ReportDecision: Hashable, Sendable {
    /// The record moves on.
    case advance(VMEvent)
    /// The record stays, and the report agrees with it.
    case confirmed
    /// The report may not change the record.
    case ignored(IgnoreReason)
    /// A live domain where none should be: shown on the VM, removed only by a job that names its epoch.
    case conflict
    /// A conflict on a host where the VM is placed, with an epoch that the record never granted: the record is older than
    /// the host, and what it says of the VM's own domain cannot be relied on either.
    case doubt
}

package enum IgnoreReason: String, CaseIterable, Sendable {
    /// The placement is another one: what is gone there was not the VM's any more.
    case notPlacedThere = "not-placed-there"
    /// It was collected before the last fact that was applied.
    case stale
    /// No domain was seen yet, and an operation's command may still be on its way; that command settles it.
    case startUnsettled = "start-unsettled"
    /// The VM moves: its operation asks both hosts, and one report says nothing of the other end.
    case moveUnsettled = "move-unsettled"
}

extension VM {
    /// What `report` does to this record. Pure and total; a report never moves ownership.
    package func decide(on report: DomainReport) -> ReportDecision {
        if let observed, latestPlacement == report.placement, report.observation < observed { return .ignored(.stale) }
        if let migration = state.move {
            if report.placement == migration.destination { return .ignored(.moveUnsettled) }
            if report.placement == migration.source, !report.state.isLive { return .ignored(.moveUnsettled) }
        }
        guard state.placement == report.placement else {
            guard report.state.isLive else { return .ignored(.notPlacedThere) }
            let isPlacedThere = state.placement(on: report.host) != nil
            return isPlacedThere && isNeverGranted(report.epoch, report.state) ? .doubt : .conflict
        }
        switch report.state {
        case .running: return seen(.running)
        case .paused: return seen(.paused)
        case .starting, .moving:
            let next = try? after(.hostAnswers)
            return next == self ? .confirmed : .advance(.hostAnswers)
        case .gone(let cause):
            // Without an operation in flight no start of this epoch can be on its way: the agent lists the VMs that it has
            // commands for, and those are not reported as gone.
            let isProven = domainSeen || report.isEvent || operation == nil
            return isProven ? .advance(.gone(cause)) : .ignored(.startUnsettled)
        }
    }

    /// A domain lives once per epoch, so the first sight of it dates all that is told of its absence; later ones that
    /// agree need no write.
    private func seen(_ seen: VMEvent.SeenAs) -> ReportDecision {
        guard let next = try? after(.seen(seen)) else { return .conflict }
        return next == self && observed != nil ? .confirmed : .advance(.seen(seen))
    }
}
