package import Domain

/// Removes what is kept only for a time: ended jobs and remembered requests, in small batches.
package struct Retention: Sendable {
    private let context: Context
    private let interval: Duration
    private let batch = 500

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
