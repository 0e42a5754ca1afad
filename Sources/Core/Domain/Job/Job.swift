/// Durable work: an operation (an accepted request) or a GC job (leftover work). One engine runs both.
package struct Job: Hashable, Sendable {
    package let id: JobID
    package let kind: JobKind
    package let vm: VMID
    package let host: HostID
    package let epoch: Epoch
    package var payload: JobPayload
    package var state: JobState
    /// The VM's wish that this work serves; a later wish supersedes what is still queued.
    package let wish: Int
    /// How often a worker has taken it up.
    package var attempts: Int
    /// What the first attempt that did not finish ran into, and the latest one.
    package private(set) var firstError: JobError?
    package private(set) var lastError: JobError?
    /// When it is tried next, at the latest; an event can make it earlier.
    package var nextAttemptAt: Timestamp
    /// The node that works on it, while it runs.
    package var owner: String?
    /// Rises with every take-over. Each write of a worker names it, so a slow former owner writes nothing.
    package var leaseToken: Int64
    /// Who asked for it.
    package let requestedBy: String
    package var revision: Int
    package let createdAt: Timestamp
    package var updatedAt: Timestamp
    package var endedAt: Timestamp?
    /// What this release cannot read of it, as it is stored; nil for all that it can do. `payload` is empty then.
    package let unreadable: UnreadableWork?

    package init(
        id: JobID, kind: JobKind, vm: VMID, host: HostID, epoch: Epoch, payload: JobPayload,
        state: JobState = .waiting, wish: Int, attempts: Int = 0, firstError: JobError? = nil,
        lastError: JobError? = nil, nextAttemptAt: Timestamp, owner: String? = nil, leaseToken: Int64 = 0,
        requestedBy: String, revision: Int = 1, createdAt: Timestamp, updatedAt: Timestamp,
        endedAt: Timestamp? = nil, unreadable: UnreadableWork? = nil
    ) {
        self.id = id
        self.kind = kind
        self.vm = vm
        self.host = host
        self.epoch = epoch
        self.payload = payload
        self.state = state
        self.wish = wish
        self.attempts = attempts
        self.firstError = firstError
        self.lastError = lastError
        self.nextAttemptAt = nextAttemptAt
        self.owner = owner
        self.leaseToken = leaseToken
        self.requestedBy = requestedBy
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.endedAt = endedAt
        self.unreadable = unreadable
    }

    /// Remembers what an attempt ran into.
    package mutating func note(_ message: String, at time: Timestamp) {
        let error = JobError(message, at: time)
        firstError = firstError ?? lastError ?? error
        lastError = error
    }

    /// The public name of its kind, within its resource; for an unknown kind the one that is stored.
    package var label: String { JobKind.label(ofStored: storedKind) }

    package var storedKind: String { unreadable?.kind ?? kind.rawValue }

    /// At most one unfinished job of its VM has this key.
    package var uniqueKey: String {
        switch kind.purpose {
        case .operation: kind == .maintainOperation ? "maintain/\(host)" : "operation"
        case .gc: "\(storedKind)/\(host)/\(epoch)"
        }
    }

    /// The VM that it is about; nil for work on a whole host.
    package var vmIfAny: VMID? { vm == .nobody ? nil : vm }

    package var placement: Placement { Placement(host: host, epoch: epoch) }

    /// The other host that this work is about: its sessions wake it too.
    package var peer: HostID? { payload.destination?.host }
}
