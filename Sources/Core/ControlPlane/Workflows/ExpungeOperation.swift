import Domain

/// What a user waits for when a VM is expunged. The work is the GC job's, which ends this operation with its own first
/// attempt; what is left to do here is not to wait for ever.
struct ExpungeOperation: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        try await context.database.write("expunge.follow") { tx in
            let vm = try tx.vm(job.vm)
            try tx.release(vm, from: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, vm == nil ? .expunged : .deferred))
        }
        return .ended
    }
}
