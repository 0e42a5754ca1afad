package import Domain

/// Ends what is kept only for a time, in small batches: ended jobs, events and remembered requests are removed, and
/// destroyed VMs expunged.
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
        // What an older copy takes for over may be needed to tell what became of it.
        guard try await context.database.read({ tx in try tx.recovery().observing == nil }) else { return }
        try await expungeDue()
        try await forgetEnded()
    }

    /// Expunges the destroyed VMs whose time is over.
    private func expungeDue() async throws {
        let (ids, settings, limit) = (context.ids, context.settings, vmBatch)
        var found = limit
        while found >= limit, !Task.isCancelled {
            found = try await context.database.write("expunge.due") { tx in
                let due = try tx.destroyedVMs(keptUntil: tx.now, limit: limit).filter { vm in
                    // Its disk may be in use, by a domain that restored records do not know.
                    (try? tx.checkSettled(vm)) != nil
                }
                for vm in due { try tx.expunge(vm, as: vm, by: Principal(name: "system"), ids, settings) }
                return due.count
            }
        }
    }

    private func forgetEnded() async throws {
        let settings = context.settings
        // A request that is remembered is answered with its job.
        for verdict in JobEnd.Verdict.allCases {
            let age = max(settings.retention(of: verdict), settings.requestRetention)
            try await remove("retention.jobs", olderThan: age) { try $0.removeJobs(verdict, before: $1, limit: $2) }
        }
        try await remove("retention.requests", olderThan: settings.requestRetention) {
            try $0.forgetRequests(before: $1, limit: $2)
        }
        try await remove("retention.events", olderThan: settings.eventRetention) {
            try $0.removeEvents(before: $1, limit: $2)
        }
    }

    /// Runs `body`, which says how many rows it took, until nothing of this age is left; each time in a transaction of its
    /// own, so that others get their turn.
    private func remove(
        _ label: String, olderThan age: Duration,
        _ body: @escaping @Sendable (any Transaction, _ before: Timestamp, _ limit: Int) throws -> Int
    ) async throws {
        let limit = batch
        var removed = limit
        while removed >= limit, !Task.isCancelled {
            removed = try await context.database.write(label) { tx in
                try body(tx, tx.now.adding(.zero - age), limit)
            }
        }
    }
}

extension ControlSettings {
    fileprivate func retention(of verdict: JobEnd.Verdict) -> Duration {
        switch verdict {
        case .succeeded: jobRetention
        case .failed, .superseded, .cancelled: failedJobRetention
        }
    }
}
