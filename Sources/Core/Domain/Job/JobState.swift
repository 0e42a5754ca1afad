/// How far a job is.
package enum JobState: Hashable, Sendable {
    /// Until its time, its host or a hand wakes it.
    case waiting
    /// A worker holds its lease.
    case running
    /// Trying again cannot help: until a hand makes it due again or ends it, nothing else does. `lastError` says why.
    case parked
    case ended(JobEnd)

    package var isEnded: Bool {
        switch self {
        case .ended: true
        case .waiting, .running, .parked: false
        }
    }
}

/// What an attempt at a job ran into.
package struct JobError: Hashable, Sendable {
    /// One sentence for people.
    package let message: String
    package let at: Timestamp

    package init(_ message: String, at time: Timestamp) {
        self.message = message
        at = time
    }
}

extension Fault {
    /// Whether the same attempt would run into the same again, until somebody looks after it.
    ///
    /// A host that cannot be asked, or could not do it now, is no such thing: that passes.
    package var isPermanent: Bool {
        // A domain whose epoch cannot be read is nobody's to touch.
        kind == .bug || code == .epochConflict
    }
}

extension Job {
    /// Whether it is parked after an attempt that ran into `fault`. Operations are not: an accepted request always ends, and
    /// its workflow says how.
    package func isStuck(on fault: Fault) -> Bool {
        switch kind.purpose {
        case .gc: fault.isPermanent
        case .operation: false
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
    /// Nothing of a placement that is over is left on its host.
    case released
    /// No VM is placed on the host any more.
    case drained
    /// The host could not do it now; a GC job will.
    case deferred
    /// The VM has moved on: the record was left alone.
    case superseded
    case hostDeleted = "host-deleted"
    case vmDestroyed = "vm-destroyed"
    case cancelledByUser = "cancelled-by-user"
    /// It was written before the copy of the records that is in use by now.
    case recordsRestored = "records-restored"
    case failed
    /// A later release wrote what this one has no name for.
    case unnamed
}
