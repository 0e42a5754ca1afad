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
    /// Nothing is left of it but the record. Final.
    case destroyed

    /// Where the VM's domain may exist now.
    package var placement: Placement? {
        switch self {
        case .starting(let placement), .running(let placement), .paused(let placement), .pausing(let placement),
            .resuming(let placement), .rebooting(let placement), .stopping(let placement, _),
            .unknown(let placement, _):
            placement
        case .destroying(let placement, _): placement
        case .created, .stopped, .crashed, .destroyed: nil
        }
    }

    /// Why the host cannot settle the state now, where that is so.
    package var waiting: WaitReason? {
        switch self {
        case .stopping(_, let reason): reason
        case .unknown(_, let reason): reason
        case .destroying(_, let reason): reason
        case .created, .starting, .running, .paused, .pausing, .resuming, .rebooting, .stopped, .crashed, .destroyed:
            nil
        }
    }

    /// Why the domain ended, where it has.
    package var cause: StopCause? {
        switch self {
        case .stopped(let cause), .crashed(let cause): cause
        case .created, .starting, .running, .paused, .pausing, .resuming, .rebooting, .stopping, .unknown,
            .destroying, .destroyed:
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
        case .stopping: .stopping
        case .stopped: .stopped
        case .crashed: .crashed
        case .unknown: .unknown
        case .destroying: .destroying
        case .destroyed: .destroyed
        }
    }

    /// The state's public name.
    package enum Label: String, CaseIterable, Sendable, Codable {
        case created, starting, running, pausing, paused, resuming, rebooting, stopping, stopped, crashed, unknown
        case destroying, destroyed
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
    /// The host's record was deleted while the VM was placed there; only a fence settles it.
    case hostDeleted = "host-deleted"
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
    case destroyRequested
    /// All that the VM held is given back.
    case destroyed

    package enum SeenAs: String, CaseIterable, Sendable { case running, paused }
}

/// The event is not possible in the state. The caller turns it into a refusal or a superseded outcome.
package struct IllegalTransition: Error, Hashable, Sendable {
    package let state: VMState
    package let event: VMEvent
}
