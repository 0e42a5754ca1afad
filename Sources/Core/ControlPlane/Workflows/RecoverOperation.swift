import Domain

/// A recovery is done in the transaction that accepts it, so that its operation has ended there. One that has not is nobody's
/// wish.
struct RecoverOperation: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        try await context.supersede(job, "recover.superseded")
    }
}
