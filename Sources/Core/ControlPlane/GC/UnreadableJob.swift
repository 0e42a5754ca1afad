import Domain

/// What stands in for work that this release cannot read: it does nothing, and leaves the job to a hand or to a release
/// that can.
struct UnreadableJob: Workflow {
    func attempt(_ job: Job) async throws -> Attempt {
        .stuck(reason: job.unreadable?.reason ?? "This release of Roost has no work of the kind '\(job.label)'.")
    }
}
