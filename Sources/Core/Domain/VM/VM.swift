/// The record of a virtual machine, as the database holds it.
package struct VM: Hashable, Sendable {
    package let id: VMID
    /// Unique among VMs that are neither destroyed nor being expunged.
    package var name: String
    package var image: ImageID
    package var cpus: Int
    package var memory: Int  // MiB
    package var state: VMState
    /// The highest epoch ever granted to this VM.
    package var epoch: Epoch
    /// The latest placement, also after it was given up; its host's pool holds the root disk.
    package var lastPlacement: Placement?
    /// The pool in which the root disk lies; nil until the first start made one, and for images without a disk.
    package var pool: PoolID?
    /// Whether an agent ever confirmed a domain of the present placement. Until then its absence from an inventory
    /// proves nothing: the start may still be on its way.
    package var domainSeen: Bool
    /// The latest fact applied to the present placement, or to the last one once that was given up; an older one is a
    /// stale fact and changes nothing.
    package var observed: Observation?
    /// The operation that is under way, if any. One at a time.
    package var operation: JobID?
    /// From when on what is left of the VM may be removed: set once it is destroyed, and before where its destroy is to
    /// keep nothing. From then on it cannot be recovered.
    package var expungeAt: Timestamp?
    package var labels: Labels
    /// What it asks of its hosts; given when it is made.
    package let rules: PlacementRules
    /// Counts what users asked for; work queued for an earlier wish yields to a later one.
    package var wish: Int
    /// Rises with every change of the record.
    package var revision: Int
    package let createdAt: Timestamp
    package var updatedAt: Timestamp

    package init(
        id: VMID, name: String, image: ImageID, cpus: Int, memory: Int, state: VMState = .created,
        epoch: Epoch = .none, lastPlacement: Placement? = nil, pool: PoolID? = nil, domainSeen: Bool = false,
        observed: Observation? = nil, operation: JobID? = nil, expungeAt: Timestamp? = nil, labels: Labels = .none,
        rules: PlacementRules = .none, wish: Int = 0, revision: Int = 1, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.image = image
        self.cpus = cpus
        self.memory = memory
        self.state = state
        self.epoch = epoch
        self.lastPlacement = lastPlacement
        self.pool = pool
        self.domainSeen = domainSeen
        self.observed = observed
        self.operation = operation
        self.expungeAt = expungeAt
        self.labels = labels
        self.rules = rules
        self.wish = wish
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// The host of the latest placement.
    package var lastHost: HostID? { lastPlacement?.host }

    /// The record after `event`.
    ///
    /// Pure: store it with a conditional write, then act on what was stored. `revision` and `updatedAt` are the store's.
    package func after(_ event: VMEvent) throws(IllegalTransition) -> VM {
        var next = self
        next.state = try state.after(event)
        if let placement = next.state.placement, placement != state.placement {
            next.epoch = max(epoch, placement.epoch)
            next.lastPlacement = placement
            next.domainSeen = false
            next.observed = nil
        }
        if let destination = next.state.destination { next.epoch = max(next.epoch, destination.epoch) }
        switch event {
        case .started, .seen, .migrationSettled(.arrived), .adopted: next.domainSeen = true
        case .destroyed(let keptUntil): next.expungeAt = expungeAt ?? keptUntil
        case .migrationGranted, .migrationSettled(.stayed), .migrationSettled(.departed), .migrationSettled(.gone),
            .destinationLost, .destinationAnswers, .destinationFenced, .writtenOff, .startGranted, .startRefused,
            .stopRequested, .stopGivenUp, .controlRequested, .controlled, .controlGivenUp, .stopped, .gone, .hostLost,
            .hostAnswers, .fenced, .destroyRequested, .recovered, .expungeRequested:
            break
        }
        switch next.state {
        case .destroying, .destroyed: break
        case .created, .starting, .running, .paused, .pausing, .resuming, .rebooting, .migrating, .stopping, .stopped,
            .crashed, .unknown, .expunging:
            next.expungeAt = nil
        }
        return next
    }

    /// Whether nothing can bring the VM back any more, so that its disk may go.
    package func isGivenUp(at now: Timestamp) -> Bool {
        state == .expunging || expungeAt.map { $0 <= now } ?? false
    }

    /// Where the domain is, or was last: what `observed` is about. There lie its disk and its console log.
    package var latestPlacement: Placement? { state.placement ?? lastPlacement }
}

/// When a fact was collected, in an order that needs no clock: a host's sessions are numbered by the server, and within a
/// session the agent numbers what it sees.
package struct Observation: Hashable, Sendable, Codable, Comparable {
    package let session: Int64
    package let sequence: Int64

    package init(session: Int64, sequence: Int64) {
        self.session = session
        self.sequence = sequence
    }

    package static func < (left: Observation, right: Observation) -> Bool {
        (left.session, left.sequence) < (right.session, right.sequence)
    }
}
