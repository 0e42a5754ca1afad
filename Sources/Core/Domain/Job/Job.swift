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
    /// What the latest attempt that did not finish ran into.
    package var lastError: String?
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

    package init(
        id: JobID, kind: JobKind, vm: VMID, host: HostID, epoch: Epoch, payload: JobPayload,
        state: JobState = .waiting, wish: Int, attempts: Int = 0, lastError: String? = nil,
        nextAttemptAt: Timestamp, owner: String? = nil, leaseToken: Int64 = 0, requestedBy: String,
        revision: Int = 1, createdAt: Timestamp, updatedAt: Timestamp, endedAt: Timestamp? = nil
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
        self.lastError = lastError
        self.nextAttemptAt = nextAttemptAt
        self.owner = owner
        self.leaseToken = leaseToken
        self.requestedBy = requestedBy
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.endedAt = endedAt
    }

    /// At most one unfinished job has this key.
    package var uniqueKey: String {
        switch kind.purpose {
        case .operation: kind == .maintainOperation ? "maintain/\(host)" : "operation/\(vm)"
        case .gc: "\(kind.rawValue)/\(vm)/\(host)/\(epoch)"
        }
    }

    /// The VM that it is about; nil for work on a whole host.
    package var vmIfAny: VMID? { vm == .nobody ? nil : vm }

    package var placement: Placement { Placement(host: host, epoch: epoch) }

    /// The other host that this work is about: its sessions wake it too.
    package var peer: HostID? { payload.destination?.host }
}

package enum JobKind: String, CaseIterable, Sendable, Codable {
    case startOperation = "operation.start"
    case stopOperation = "operation.stop"
    case pauseOperation = "operation.pause"
    case resumeOperation = "operation.resume"
    case resetOperation = "operation.reset"
    case rebootOperation = "operation.reboot"
    case migrateOperation = "operation.migrate"
    case destroyOperation = "operation.destroy"
    case recoverOperation = "operation.recover"
    case expungeOperation = "operation.expunge"
    case maintainOperation = "operation.maintain"
    case stopVM = "stop-vm"
    case destroyVM = "destroy-vm"
    case adoptVM = "adopt-vm"
    case deleteVolume = "delete-volume"

    package enum Purpose: String, Sendable { case operation, gc }

    package var purpose: Purpose {
        switch self {
        case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
            .migrateOperation, .destroyOperation, .recoverOperation, .expungeOperation, .maintainOperation:
            .operation
        case .stopVM, .destroyVM, .deleteVolume, .adoptVM: .gc
        }
    }

    /// The public name, within its resource.
    package var label: String {
        switch self {
        case .startOperation: "start"
        case .stopOperation: "stop"
        case .pauseOperation: "pause"
        case .resumeOperation: "resume"
        case .resetOperation: "reset"
        case .rebootOperation: "reboot"
        case .migrateOperation: "migrate"
        case .destroyOperation: "destroy"
        case .recoverOperation: "recover"
        case .expungeOperation: "expunge"
        case .maintainOperation: "maintain"
        case .stopVM: "stop-vm"
        case .destroyVM: "destroy-vm"
        case .adoptVM: "adopt-vm"
        case .deleteVolume: "delete-volume"
        }
    }

    /// What the operation does to a guest that keeps its domain, if that is what it does.
    package var control: GuestControl? {
        switch self {
        case .pauseOperation: .pause
        case .resumeOperation: .resume
        case .resetOperation: .reset
        case .rebootOperation: .reboot
        case .startOperation, .stopOperation, .migrateOperation, .destroyOperation, .recoverOperation,
            .expungeOperation, .maintainOperation, .stopVM, .destroyVM, .deleteVolume, .adoptVM:
            nil
        }
    }

    package init(_ control: GuestControl) {
        self =
            switch control {
            case .pause: .pauseOperation
            case .resume: .resumeOperation
            case .reset: .resetOperation
            case .reboot: .rebootOperation
            }
    }

    package static let operations: [JobKind] = allCases.filter { $0.purpose == .operation }
    package static let gcJobs: [JobKind] = allCases.filter { $0.purpose == .gc }
}

/// What a job needs beyond its VM, host and epoch. Stored as versioned JSON.
package struct JobPayload: Hashable, Sendable, Codable {
    /// The version of this shape.
    package var version: Int = 1
    package var mode: StopMode?
    /// How long a graceful stop waits for the guest, seconds.
    package var timeout: Int?
    /// Whether what cannot be done now may be left to a GC job.
    package var isDeferrable: Bool?
    /// The VM's root disk goes too, and its record with it.
    package var removesDisk: Bool?
    /// The command that the job sends. Attempts repeat it under the same id until its end is known; after an end that
    /// calls for another try it gets a fresh one.
    package var command: CommandID?
    /// Where a move leads.
    package var destination: Placement?
    /// How a live guest moves; nil for a move that stops it here and starts it there.
    package var migration: MigrationOptions?
    /// The command that a move sends to its destination.
    package var arrivalCommand: CommandID?
    /// Somebody asked that the move be broken off.
    package var isCancelRequested: Bool?
    /// The epoch that was granted for a domain that is to be adopted.
    package var grantedEpoch: Epoch?
    /// How far the move has come, as the source's agent last told.
    package var progress: MigrationProgress?
    /// The drain of a host that asked for this work.
    package var drain: JobID?
    /// Whether a drain stops the guests that it cannot move.
    package var stopsImmovable: Bool?
    /// How far a drain has come.
    package var drained: DrainProgress?

    package init(
        mode: StopMode? = nil, timeout: Int? = nil, isDeferrable: Bool? = nil, removesDisk: Bool? = nil,
        command: CommandID? = nil, destination: Placement? = nil, migration: MigrationOptions? = nil,
        arrivalCommand: CommandID? = nil
    ) {
        self.mode = mode
        self.timeout = timeout
        self.isDeferrable = isDeferrable
        self.removesDisk = removesDisk
        self.command = command
        self.destination = destination
        self.migration = migration
        self.arrivalCommand = arrivalCommand
    }
}

package enum JobState: Hashable, Sendable {
    /// Until its time, its host or a hand wakes it.
    case waiting
    /// A worker holds its lease.
    case running
    case ended(JobEnd)

    package var isEnded: Bool {
        switch self {
        case .ended: true
        case .waiting, .running: false
        }
    }
}

/// How a job ended. Final.
package struct JobEnd: Hashable, Sendable {
    package let verdict: Verdict
    package let outcome: JobOutcome
    /// Why it failed, for `failed`.
    package let fault: Fault?

    package enum Verdict: String, CaseIterable, Sendable, Codable { case succeeded, failed, superseded, cancelled }

    package init(_ verdict: Verdict, _ outcome: JobOutcome, fault: Fault? = nil) {
        self.verdict = verdict
        self.outcome = outcome
        self.fault = fault
    }

    package static func failed(_ fault: Fault) -> JobEnd { JobEnd(.failed, .failed, fault: fault) }
}

/// What came of a job, in the words of the public API.
package enum JobOutcome: String, CaseIterable, Sendable, Codable {
    case started
    case stopped
    /// There was no domain to stop, and libvirt said so.
    case notFound = "not-found"
    case destroyed
    case recovered
    /// Nothing is left of the VM on its host, and its record is gone.
    case expunged
    case paused
    case resumed
    case reset
    case rebooted
    case migrated
    /// The domain was taken up where it was found.
    case adopted
    /// No VM is placed on the host any more.
    case drained
    /// The host could not do it now; a GC job will.
    case deferred
    /// The VM has moved on: the record was left alone.
    case superseded
    case hostDeleted = "host-deleted"
    case vmDestroyed = "vm-destroyed"
    case cancelledByUser = "cancelled-by-user"
    case failed
}
