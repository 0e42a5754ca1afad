/// Where a virtual machine is in its life; each case carries exactly the facts that are true in it.
///
/// A state without a placement says that no domain of this VM runs anywhere.
package enum VMState: Hashable, Sendable {
    /// Recorded, never started. `start` or `destroy` moves it on.
    case created
    /// A start was granted and has not been confirmed. The start's answer moves it on.
    case starting(Placement)
    /// The host confirmed that the domain runs.
    case running(Placement)
    /// The host confirmed that the domain exists and its CPUs are halted.
    case paused(Placement)
    /// A pause was accepted and its effect is not confirmed. Its answer moves it on, as with the next two.
    case pausing(Placement)
    case resuming(Placement)
    /// A reboot or reset was accepted: the guest boots anew in the same domain.
    case rebooting(Placement)
    /// A move to another host was accepted. The move's operation asks both hosts what came of it, and moves it on.
    case migrating(Move)
    /// A stop was accepted and its effect is not confirmed; `waiting` says why it cannot be now.
    case stopping(Placement, waiting: WaitReason?)
    /// No domain runs. `start` or `destroy` moves it on.
    case stopped(StopCause)
    /// The domain ended by itself and badly; no domain runs. `start` or `destroy` moves it on.
    case crashed(StopCause)
    /// The domain may or may not run: its host cannot be asked. The host's next answer, or a fence, moves it on.
    case unknown(Placement, WaitReason)
    /// A destroy was accepted. The placement is there until the domain is confirmed gone.
    case destroying(Placement?, waiting: WaitReason?)
    /// No domain runs; the record and the root disk are kept for a time. `recover` or `expunge` moves it on, or the end of
    /// that time.
    case destroyed
    /// What is left of it is being removed. A GC job ends it, and the record with it; nothing brings the VM back.
    case expunging

    /// Where the VM's domain is to exist now; during a move, where it came from.
    package var placement: Placement? {
        switch self {
        case .migrating(let migration): migration.source
        case .starting(let placement), .running(let placement), .paused(let placement), .pausing(let placement),
            .resuming(let placement), .rebooting(let placement), .stopping(let placement, _),
            .unknown(let placement, _):
            placement
        case .destroying(let placement, _): placement
        case .created, .stopped, .crashed, .destroyed, .expunging: nil
        }
    }

    /// Where a move leads.
    package var destination: Placement? { move?.destination }

    package var move: Move? {
        if case .migrating(let migration) = self { return migration }
        return nil
    }

    /// Everything that the VM may hold a domain at: none, one, or the two ends of a move.
    package var placements: [Placement] { [placement, destination].compactMap { $0 } }

    /// The placement on `host`, if there is one.
    package func placement(on host: HostID) -> Placement? { placements.first { $0.host == host } }

    /// Which host the state waits for, where it waits.
    package var waitingHost: HostID? {
        guard waiting != nil else { return nil }
        if let move { return move.sourceLost == nil ? move.destination.host : move.source.host }
        return placement?.host
    }

    /// Why a host cannot settle the state now, where that is so.
    package var waiting: WaitReason? {
        switch self {
        case .migrating(let migration): migration.sourceLost ?? migration.destinationLost
        case .stopping(_, let reason): reason
        case .unknown(_, let reason): reason
        case .destroying(_, let reason): reason
        case .created, .starting, .running, .paused, .pausing, .resuming, .rebooting, .stopped, .crashed, .destroyed,
            .expunging:
            nil
        }
    }

    /// Why the domain ended, where it has.
    package var cause: StopCause? {
        switch self {
        case .stopped(let cause), .crashed(let cause): cause
        case .created, .starting, .running, .paused, .pausing, .resuming, .rebooting, .migrating, .stopping, .unknown,
            .destroying, .destroyed, .expunging:
            nil
        }
    }

    package var label: Label {
        switch self {
        case .created: .created
        case .starting: .starting
        case .running: .running
        case .paused: .paused
        case .pausing: .pausing
        case .resuming: .resuming
        case .rebooting: .rebooting
        case .migrating: .migrating
        case .stopping: .stopping
        case .stopped: .stopped
        case .crashed: .crashed
        case .unknown: .unknown
        case .destroying: .destroying
        case .destroyed: .destroyed
        case .expunging: .expunging
        }
    }

    /// The state's public name.
    package enum Label: String, CaseIterable, Sendable, Codable {
        case created, starting, running, pausing, paused, resuming, rebooting, migrating, stopping, stopped, crashed
        case unknown, destroying, destroyed, expunging
    }
}

/// A move between two placements. The guest is the source's until it is proven to run at the destination.
package struct Move: Hashable, Sendable {
    package let source: Placement
    package let destination: Placement
    /// Why the source cannot be asked.
    package var sourceLost: WaitReason?
    /// Why the destination cannot be asked.
    package var destinationLost: WaitReason?

    package init(
        source: Placement, destination: Placement, sourceLost: WaitReason? = nil, destinationLost: WaitReason? = nil
    ) {
        self.source = source
        self.destination = destination
        self.sourceLost = sourceLost
        self.destinationLost = destinationLost
    }
}

/// Why a host cannot settle a VM's state.
package enum WaitReason: String, CaseIterable, Sendable, Codable {
    /// The agent has no live session.
    case hostDisconnected = "host-disconnected"
    /// The agent is connected, and its libvirt does not answer.
    case libvirtUnavailable = "libvirt-unavailable"
    /// A command was sent and its end is not known yet.
    case outcomeUnknown = "outcome-unknown"
    /// libvirt moved the domain away, and Roost had not asked for it: its host says no more, and it has to be found.
    case movedAway = "moved-away"
    /// The host's record was deleted while the VM was placed there; only a fence settles it.
    case hostDeleted = "host-deleted"
    /// The records are older than the hosts: that its host has no such domain does not say where it runs by now.
    case recordsRestored = "records-restored"
}

/// Why a domain is gone.
package enum StopCause: String, CaseIterable, Sendable, Codable {
    /// Roost stopped it.
    case requested
    /// The guest powered itself off.
    case guestShutdown = "guest-shutdown"
    /// Somebody ended the domain with libvirt's own tools.
    case domainDestroyed = "domain-destroyed"
    /// QEMU died, or the guest crashed.
    case failed
    /// libvirt moved it to another host, and Roost had not asked for it.
    case movedAway = "moved-away"
    /// An operator said that it runs nowhere.
    case writtenOff = "written-off"
    /// It was found gone; nobody saw how it ended.
    case foundGone = "found-gone"
    /// The host booted again: what ran on it before is gone.
    case hostRebooted = "host-rebooted"
    /// An operator proved that the host is off.
    case hostFenced = "host-fenced"
    /// The start never took effect.
    case startFailed = "start-failed"
}

/// What can happen to a VM's record.
package enum VMEvent: Hashable, Sendable {
    /// A start was accepted, with a new epoch.
    case startGranted(Placement)
    /// The host answered that the domain of the present placement runs.
    case started
    /// It is proven that the start of the present placement took no effect and never will.
    case startRefused
    case stopRequested
    /// A stop ended without effect; what the domain does now has to be asked.
    case stopGivenUp
    case controlRequested(GuestControl)
    /// The host answered that the guest was paused, resumed, reset or rebooted.
    case controlled(SeenAs)
    /// A pause, resume, reset or reboot ended without a result that can be relied on.
    case controlGivenUp
    /// A move to this placement was accepted, with a new epoch.
    case migrationGranted(Placement)
    /// It is known what came of a move.
    case migrationSettled(MigrationEnd)
    /// The host answered a stop: no domain of the present placement runs, and none can any more.
    case stopped(StopCause)
    /// A report: the domain of the present placement exists.
    case seen(SeenAs)
    /// A report: the domain of the present placement existed and is gone.
    case gone(StopCause)
    /// The host of the present placement cannot be asked.
    case hostLost(WaitReason)
    /// The host of the present placement can be asked again.
    case hostAnswers
    /// The host of the present placement is proven off.
    case fenced
    /// The domain was found at this placement, to which nobody in Roost had sent it, and has its epoch by now.
    case adopted(Placement)
    /// An operator says that no domain of the VM runs anywhere.
    case writtenOff
    /// The host that a move leads to cannot be asked.
    case destinationLost(WaitReason)
    case destinationAnswers
    /// The host that a move leads to is proven off.
    case destinationFenced
    case destroyRequested
    /// No domain runs any more; what is left of the VM is kept until `keptUntil`, if no earlier time was asked for.
    case destroyed(keptUntil: Timestamp)
    /// A destroyed VM is wanted again.
    case recovered
    /// What is left of a destroyed VM is to be removed.
    case expungeRequested

    package enum SeenAs: String, CaseIterable, Sendable { case running, paused }
}

/// What came of a move, as both of its hosts say.
package enum MigrationEnd: Hashable, Sendable {
    /// The guest goes on at the destination, and has no domain at the source any more.
    case arrived(VMEvent.SeenAs)
    /// The guest goes on at the source, and nothing of the move can come up at the destination any more.
    case stayed(VMEvent.SeenAs)
    /// The guest was stopped at the source, and is to start at the destination.
    case departed
    /// Neither host has a domain.
    case gone(StopCause)
}

/// The event is not possible in the state. The caller turns it into a refusal or a superseded outcome.
package struct IllegalTransition: Error, Hashable, Sendable {
    package let state: VMState
    package let event: VMEvent
}
