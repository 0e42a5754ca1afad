/// What accepting an older copy of the records means for one VM.
package enum RestoredFate: Hashable, Sendable {
    /// Its domain was seen where the record has it.
    case confirmed
    /// The record has no domain, and no host showed one.
    case atRest
    /// Exactly one host shows a domain of it, which is newer than the record: that is taken up.
    case adopted(Placement)
    /// All hosts were heard, and none shows its domain: it is stopped.
    case stopped
    /// Its domain may be on a host that did not show it yet: it stays unknown.
    case waits
    /// Domains are shown that nobody but an operator can choose between, or that cannot be the VM's.
    case contested

    /// Of what differs.
    package static let labels = ["adopted", "stopped", "waiting", "contested"]

    /// The fate in one word.
    package var label: String {
        switch self {
        case .confirmed: "confirmed"
        case .atRest: "at-rest"
        case .adopted: "adopted"
        case .stopped: "stopped"
        case .waits: "waiting"
        case .contested: "contested"
        }
    }
}

extension VM {
    /// The record as it is once it is known to be older than the hosts: no domain is known before a host shows it again.
    ///
    /// What was under way may have ended since, and so may a stop or a delete: the wish is to be told anew.
    package var restored: VM {
        var next = self
        next.state = state.restored
        switch next.state {
        case .destroying, .destroyed: break
        case .created, .starting, .running, .paused, .pausing, .resuming, .rebooting, .migrating, .stopping, .stopped,
            .crashed, .unknown, .expunging:
            next.expungeAt = nil
        }
        return next
    }

    /// What becomes of this restored record, given the live domains that hosts show and no placement owns. Pure and total.
    ///
    /// - Parameter isAnyAwaited: whether a host was not heard of since.
    package func fate(given sightings: [Sighting], isAnyAwaited: Bool) -> RestoredFate {
        switch state {
        case .starting, .running, .paused, .pausing, .resuming, .rebooting, .migrating, .stopping, .destroying,
            .unknown(_, .hostDisconnected), .unknown(_, .libvirtUnavailable), .unknown(_, .outcomeUnknown),
            .unknown(_, .hostDeleted):
            return sightings.isEmpty ? .confirmed : .contested
        case .created, .stopped, .crashed:
            return sightings.isEmpty ? .atRest : newest(of: sightings)
        case .unknown(_, .movedAway): return sightings.isEmpty ? .waits : newest(of: sightings)
        case .unknown(_, .recordsRestored):
            guard sightings.isEmpty else { return newest(of: sightings) }
            return isAnyAwaited ? .waits : .stopped
        // Taken up, it would come back to life: that is for somebody to say.
        case .destroyed, .expunging: return sightings.isEmpty ? .atRest : .contested
        }
    }

    private func newest(of sightings: [Sighting]) -> RestoredFate {
        guard let seen = sightings.first, sightings.count == 1, seen.epoch > latestPlacement?.epoch ?? .none,
            seen.state == "running" || seen.state == "paused"
        else { return .contested }
        return .adopted(Placement(host: seen.host, epoch: seen.epoch))
    }
}

extension VMState {
    /// See `VM.restored`.
    fileprivate var restored: VMState {
        switch self {
        case .starting(let placement), .running(let placement), .paused(let placement), .pausing(let placement),
            .resuming(let placement), .rebooting(let placement), .stopping(let placement, _),
            .destroying(let placement?, _):
            .unknown(placement, .recordsRestored)
        case .migrating(let move): .unknown(move.source, .recordsRestored)
        // Its domain is looked for on every host as it is.
        case .unknown(_, .movedAway): self
        case .unknown(let placement, _): .unknown(placement, .recordsRestored)
        case .destroying(nil, _): .stopped(.requested)
        case .created, .stopped, .crashed, .destroyed, .expunging: self
        }
    }
}

/// What accepting an older copy means for work that was written before it.
package enum RestoredJobFate: String, CaseIterable, Sendable {
    /// The VM was seen under a later epoch than the work is about.
    case superseded
    /// A request of long ago: who wants it still asks again.
    case cancelled
    /// Nobody knows whether it was done since: it waits for a hand.
    case parked
}

extension Job {
    /// What becomes of this unfinished job when the copy that it comes from is accepted.
    ///
    /// - Parameter seen: the highest epoch under which a host shows a domain of its VM.
    package func restoredFate(seen: Epoch) -> RestoredJobFate {
        switch kind.purpose {
        case .operation: .cancelled
        // A record that ends with its job needs that job.
        case .gc: seen > epoch && kind != .deleteVolume ? .superseded : .parked
        }
    }
}
