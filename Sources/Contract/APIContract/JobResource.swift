/// The durable record of one accepted request, as the API shows it.
package struct OperationResource: Codable, Hashable, Sendable {
    package var id: String
    package var kind: String
    /// nil for work on a whole host.
    package var vm: String?
    package var host: String?
    /// The host that a move leads to.
    package var destination: String?
    package var epoch: Int64
    /// `pending`, `running`, `needs-attention`, `succeeded`, `failed`, `superseded` or `cancelled`.
    package var state: String
    /// What came of it, once it ended; `deferred` says that a GC job goes on with it.
    package var outcome: String?
    package var progress: String?
    /// How far a live move has come.
    package var transfer: Transfer?
    /// How far the drain of a host has come.
    package var drain: DrainResource?
    package var error: Problem?
    package var attempts: Int
    /// What the first attempt that did not finish ran into, and the latest one.
    package var firstError: String?
    package var firstErrorAt: String?
    package var lastError: String?
    package var lastErrorAt: String?
    package var requestedBy: String
    package var revision: Int
    package var createdAt: String
    package var updatedAt: String
    package var endedAt: String?

    package init(
        id: String, kind: String, vm: String?, host: String?, destination: String? = nil, epoch: Int64, state: String,
        outcome: String?, progress: String?, transfer: Transfer? = nil, drain: DrainResource? = nil, error: Problem?,
        attempts: Int, firstError: String? = nil, firstErrorAt: String? = nil, lastError: String? = nil,
        lastErrorAt: String? = nil, requestedBy: String, revision: Int, createdAt: String, updatedAt: String,
        endedAt: String?
    ) {
        self.id = id
        self.kind = kind
        self.vm = vm
        self.host = host
        self.destination = destination
        self.epoch = epoch
        self.state = state
        self.outcome = outcome
        self.progress = progress
        self.transfer = transfer
        self.drain = drain
        self.error = error
        self.attempts = attempts
        self.firstError = firstError
        self.firstErrorAt = firstErrorAt
        self.lastError = lastError
        self.lastErrorAt = lastErrorAt
        self.requestedBy = requestedBy
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.endedAt = endedAt
    }

    package var isEnded: Bool { endedAt != nil }
}

/// How much of a guest's memory and disk has been copied to another host.
package struct Transfer: Codable, Hashable, Sendable {
    /// 0 to 100. It can fall: a guest changes what was copied.
    package var percent: Int
    package var bytesProcessed: Int64
    package var bytesTotal: Int64
    package var bytesRemaining: Int64

    package init(percent: Int, bytesProcessed: Int64, bytesTotal: Int64, bytesRemaining: Int64) {
        self.percent = percent
        self.bytesProcessed = bytesProcessed
        self.bytesTotal = bytesTotal
        self.bytesRemaining = bytesRemaining
    }
}

/// Durable leftover work, as the API shows it.
package struct GCJobResource: Codable, Hashable, Sendable {
    package var id: String
    package var kind: String
    package var vm: String
    package var host: String
    package var epoch: Int64
    package var mode: String?
    /// `waiting`, `running`, `needs-attention`, `done` or `cancelled`.
    package var state: String
    package var outcome: String?
    package var attempts: Int
    /// What the first attempt that did not finish ran into, and the latest one.
    package var firstError: String?
    package var firstErrorAt: String?
    package var lastError: String?
    package var lastErrorAt: String?
    package var nextAttemptAt: String?
    package var owner: String?
    package var revision: Int
    package var createdAt: String
    package var updatedAt: String
    package var endedAt: String?
    /// Only in the answer to a dry run: what would happen. The rest is the job as it would be then.
    package var wouldHappen: [String]?

    package init(
        id: String, kind: String, vm: String, host: String, epoch: Int64, mode: String?, state: String,
        outcome: String?, attempts: Int, firstError: String? = nil, firstErrorAt: String? = nil, lastError: String?,
        lastErrorAt: String? = nil, nextAttemptAt: String?, owner: String?, revision: Int, createdAt: String,
        updatedAt: String, endedAt: String?
    ) {
        self.id = id
        self.kind = kind
        self.vm = vm
        self.host = host
        self.epoch = epoch
        self.mode = mode
        self.state = state
        self.outcome = outcome
        self.attempts = attempts
        self.firstError = firstError
        self.firstErrorAt = firstErrorAt
        self.lastError = lastError
        self.lastErrorAt = lastErrorAt
        self.nextAttemptAt = nextAttemptAt
        self.owner = owner
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.endedAt = endedAt
    }
}

/// Why a GC job waits, what wakes it, and what it will do.
package struct GCJobExplanation: Codable, Hashable, Sendable {
    package var job: GCJobResource
    package var doing: String
    package var waitsBecause: String
    package var wokenBy: [String]
    package var cancelledBy: [String]
    package var steps: [String]

    package init(
        job: GCJobResource, doing: String, waitsBecause: String, wokenBy: [String], cancelledBy: [String],
        steps: [String]
    ) {
        self.job = job
        self.doing = doing
        self.waitsBecause = waitsBecause
        self.wokenBy = wokenBy
        self.cancelledBy = cancelledBy
        self.steps = steps
    }
}
