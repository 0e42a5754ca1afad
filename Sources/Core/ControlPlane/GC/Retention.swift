package import Domain

/// Ends what is kept only for a time, in small batches: ended jobs and remembered requests are removed, and destroyed VMs
/// expunged.
package struct Retention: Sendable {
    private let context: Context
    private let interval: Duration
    private let batch = 500
    /// Each is work for a host.
    private let vmBatch = 50

    package init(_ context: Context, interval: Duration = .seconds(60)) {
        self.context = context
        self.interval = interval
    }

    /// Works until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            do { try await sweep() } catch {
                context.logger.warning("retention sweep failed", metadata: ["error": "\(error)"])
            }
            try? await context.time.sleep(for: interval)
        }
    }

    package func sweep() async throws {
        try await expungeDue()
        try await forgetEnded()
    }

    /// Expunges the destroyed VMs whose time is over.
    private func expungeDue() async throws {
        let (ids, settings, limit) = (context.ids, context.settings, vmBatch)
        var found = limit
        while found >= limit, !Task.isCancelled {
            found = try await context.database.write("expunge.due") { tx in
                let due = try tx.destroyedVMs(keptUntil: tx.now, limit: limit)
                for vm in due { try tx.expunge(vm, as: vm, by: Principal(name: "system"), ids, settings) }
                return due.count
            }
        }
    }

    private func forgetEnded() async throws {
        let settings = context.settings
        let limit = batch
        // A request that is remembered is answered with its job.
        let jobAge = max(settings.jobRetention, settings.requestRetention)
        var removed = limit
        while removed >= limit, !Task.isCancelled {
            removed = try await context.database.write("retention") { tx in
                let jobs = try tx.removeJobs(endedBefore: tx.now.adding(.zero - jobAge), limit: limit)
                let requests = try tx.forgetRequests(
                    before: tx.now.adding(.zero - settings.requestRetention), limit: limit)
                return max(jobs, requests)
            }
        }
    }
}
