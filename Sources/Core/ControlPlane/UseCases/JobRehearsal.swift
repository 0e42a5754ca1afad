package import Domain

/// What a request about a job would do, found out by doing it in a transaction that is given up.
package struct JobRehearsal: Sendable {
    /// The job as it would be then.
    package let job: Job
    /// Sentences for people: first the events that would tell of it, in their order.
    package let changes: [String]
}

extension Database {
    /// Runs `body` as a write would and keeps nothing of it. `body` answers with the job, and what else there is to say.
    func rehearse(_ body: @escaping @Sendable (any Transaction) throws -> (Job, [String])) async throws -> JobRehearsal
    {
        do {
            return try await write("job.rehearse") { tx -> JobRehearsal in
                let before = try tx.latestEventID()
                let (job, more) = try body(tx)
                let told = try tx.events(after: before, limit: 100).map(\.event.message)
                throw GivenUp(rehearsal: JobRehearsal(job: job, changes: told + more))
            }
        } catch let givenUp as GivenUp {
            return givenUp.rehearsal
        }
    }
}

/// Ends a transaction of which nothing is to be kept.
private struct GivenUp: Error { let rehearsal: JobRehearsal }
