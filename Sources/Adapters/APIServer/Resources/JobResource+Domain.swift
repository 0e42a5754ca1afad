package import APIContract
import ControlPlane
package import Domain

extension OperationResource {
    package init(_ job: Job) {
        let state: String
        var end: JobEnd?
        switch job.state {
        case .waiting: state = "pending"
        case .running: state = "running"
        case .parked: state = JobState.parkedLabel
        case .ended(let ended):
            state = ended.verdict.rawValue
            end = ended
        }
        self.init(
            id: job.id.rawValue, kind: job.label, vm: job.vmIfAny?.rawValue, host: job.host.textIfAny,
            destination: job.peer?.rawValue, epoch: job.epoch.rawValue, state: state, outcome: end?.outcome.rawValue,
            progress: end == nil ? job.payload.drained?.summary ?? job.lastError?.message : nil,
            transfer: job.payload.progress.map { Transfer($0) },
            drain: job.payload.drained.map { DrainResource($0) }, error: end?.fault?.problem, attempts: job.attempts,
            firstError: job.firstError?.message, firstErrorAt: job.firstError?.at.rfc3339,
            lastError: job.lastError?.message, lastErrorAt: job.lastError?.at.rfc3339, requestedBy: job.requestedBy,
            revision: job.revision, createdAt: job.createdAt.rfc3339,
            updatedAt: job.updatedAt.rfc3339, endedAt: job.endedAt?.rfc3339)
    }
}

extension JobState {
    /// The public name of what waits for somebody to look after it.
    static let parkedLabel = "needs-attention"
}

extension Transfer {
    init(_ progress: MigrationProgress) {
        self.init(
            percent: progress.percent, bytesProcessed: progress.processed, bytesTotal: progress.total,
            bytesRemaining: progress.remaining)
    }
}

extension GCJobResource {
    package init(_ job: Job) {
        let state: String
        var outcome: JobOutcome?
        var nextAttemptAt: Timestamp?
        switch job.state {
        case .waiting:
            state = "waiting"
            nextAttemptAt = job.nextAttemptAt
        case .running: state = "running"
        case .parked: state = JobState.parkedLabel
        case .ended(let end):
            outcome = end.outcome
            switch end.verdict {
            case .cancelled: state = "cancelled"
            case .succeeded, .failed, .superseded: state = "done"
            }
        }
        self.init(
            id: job.id.rawValue, kind: job.label, vm: job.vm.rawValue, host: job.host.rawValue,
            epoch: job.epoch.rawValue, mode: job.payload.mode?.rawValue, state: state, outcome: outcome?.rawValue,
            attempts: job.attempts, firstError: job.firstError?.message, firstErrorAt: job.firstError?.at.rfc3339,
            lastError: job.lastError?.message, lastErrorAt: job.lastError?.at.rfc3339,
            nextAttemptAt: nextAttemptAt?.rfc3339, owner: job.owner,
            revision: job.revision, createdAt: job.createdAt.rfc3339, updatedAt: job.updatedAt.rfc3339,
            endedAt: job.endedAt?.rfc3339)
    }
}

extension GCJobExplanation {
    init(_ explanation: JobExplanation) {
        self.init(
            job: GCJobResource(explanation.job), doing: explanation.doing, waitsBecause: explanation.waitsBecause,
            wokenBy: explanation.wokenBy, cancelledBy: explanation.cancelledBy,
            steps: explanation.steps.map { "\($0.at.rfc3339) \($0.name)" })
    }
}

extension HostID {
    /// nil for the job of a VM that was never on any host.
    fileprivate var textIfAny: String? { self == .nowhere ? nil : rawValue }
}
