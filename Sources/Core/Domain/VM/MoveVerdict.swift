/// What a host shows of one placement's domain.
package enum DomainSight: String, CaseIterable, Sendable {
    case running
    case paused
    /// Its CPUs are halted by libvirt, for a move or because its start is not over.
    case moving
    /// libvirt answered that there is none.
    case absent
    /// The host, or its libvirt, does not say.
    case unseen
}

extension Inventory {
    /// What this shows of the domain of `vm` with `epoch`.
    package func sight(of vm: VMID, _ epoch: Epoch) -> DomainSight {
        guard libvirtAnswered else { return .unseen }
        guard let domain = domains.first(where: { $0.vm == vm }) else { return busy.contains(vm) ? .unseen : .absent }
        guard let found = domain.epoch else { return .unseen }
        guard found == epoch else { return .absent }
        switch domain.state {
        case .running: return .running
        case .paused: return .paused
        case .starting, .moving: return .moving
        case .gone: return .absent
        }
    }
}

/// What follows for a VM from what both hosts of its move show, once the source is not at it any more. Pure and total.
package enum MoveVerdict: Hashable, Sendable {
    case stayed(VMEvent.SeenAs)
    /// It has left the source: what is at the destination may go on.
    case arrived
    /// Neither host has a domain.
    case ended
    /// Not settled yet: the source, or else the destination, has to say more.
    case waitForSource
    case waitForDestination

    package init(source: DomainSight, destination: DomainSight) {
        self =
            switch (source, destination) {
            // A guest that is shown at the source never left it: what came of it at the destination was not let go on.
            case (.running, _): .stayed(.running)
            // A user's pause goes with the guest; where it is shown at both ends, the source has not let it go.
            case (.paused, _): .stayed(.paused)
            case (.moving, _): .waitForSource
            // What is at the destination waits, as long as the source may hold the guest.
            case (.unseen, _): .waitForSource
            case (.absent, .running), (.absent, .paused): .arrived
            case (.absent, .moving): .waitForDestination
            case (.absent, .unseen): .waitForDestination
            case (.absent, .absent): .ended
            }
    }
}
