import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import SQLStore
import Synchronization

/// The production engine on a production store, with work that does nothing but end.
struct JobBench: Sendable {
    private let store: any Store
    private let context: Context
    private let ended: EndedJobs
    private let host: HostID

    /// - Parameter retention: how long jobs and events are kept.
    init(_ location: StoreLocation, keeping retention: Duration = .seconds(3600)) throws {
        let (feed, ended) = (CommitFeed(), EndedJobs())
        let logger = Logger(label: "measure") { _ in SwiftLogNoOpLogHandler() }
        store = try location.open(
            clock: SystemTime(), faults: NoFaultPoints(), logger: logger,
            onCommit: { events, jobsTouched in
                feed.committed(jobsTouched: jobsTouched)
                ended.add(events)
            }, onNotice: { feed.committed(jobsTouched: $0) })
        self.ended = ended
        var settings = ControlSettings(node: "measure")
        (settings.jobRetention, settings.eventRetention, settings.requestRetention) = (retention, retention, retention)
        context = Context(
            database: store, sessions: NoSessions(), time: SystemTime(), ids: SystemIDs(), random: SystemRandom(),
            faults: NoFaultPoints(), feed: feed, settings: settings, logger: logger)
        host = HostID(from: context.ids)
    }

    func close() { store.close() }

    func addHost() async throws {
        let host = host
        try await NodeService(context).join()
        try await store.write("measure.host") { tx in
            try tx.insert(Host(id: host, name: "h", createdAt: tx.now, updatedAt: tx.now))
        }
    }

    /// Leaves `count` jobs that are due; nobody works on them yet.
    func write(_ count: Int) async throws {
        let part = 500
        for begin in stride(from: 0, to: count, by: part) {
            let jobs = (begin..<min(begin + part, count)).map { _ in fresh() }
            try await store.write("measure.enqueue") { tx in for job in jobs { _ = try tx.enqueue(job) } }
        }
    }

    /// Starts an engine, and returns how long it takes until all that waits has durably ended.
    func drain() async throws -> Duration {
        let waiting = try await store.read { tx in try tx.unfinishedJobs(on: host).count }
        let before = ended.count
        let begin = ContinuousClock.now
        return try await withEngine {
            try await ended.reach(before + waiting)
            return ContinuousClock.now - begin
        }
    }

    /// How long each of `count` jobs takes from before its write to its durable end, one after another.
    func latencies(of count: Int) async throws -> Samples {
        try await withEngine {
            var samples = Samples()
            for number in 0..<(count + 20) {
                // The engine is at rest again.
                try await Task.sleep(for: .milliseconds(5))
                let (job, before) = (fresh(), ended.count)
                let begin = ContinuousClock.now
                try await store.write("measure.enqueue") { tx in _ = try tx.enqueue(job) }
                try await ended.reach(before + 1)
                // The first ones prepare statements.
                if number >= 20 { samples.add(ContinuousClock.now - begin) }
            }
            return samples
        }
    }

    /// Throws unless at least `count` jobs are there, all of them succeeded at their first attempt.
    func checkAllEndedOnce(_ count: Int) async throws {
        var query = ListQuery(limit: 1000)
        var found = 0
        repeat {
            let page = try await store.read { [query] tx in try tx.jobs(query) }
            for job in page.items {
                guard case .ended(let end) = job.state, end.verdict == .succeeded, job.attempts == 1 else {
                    throw MeasureFailed("Job \(job.id) is \(job.state) after \(job.attempts) attempts.")
                }
            }
            found += page.items.count
            query.after = page.next
        } while query.after != nil
        guard found >= count else { throw MeasureFailed("Of \(count) jobs \(found) are there.") }
    }

    /// Removes what has ended, as the server does when its time is over.
    func retire() async throws { try await Retention(context).sweep() }

    private func withEngine<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        let engine = JobEngine(context, workflows: NoWork(database: store))
        let running = Task { try await engine.run() }
        defer { running.cancel() }
        let result = try await body()
        running.cancel()
        try await running.value
        return result
    }

    private func fresh() -> Job {
        let now = context.time.wall()
        return Job(
            id: JobID(from: context.ids), kind: .stopVM, vm: VMID(from: context.ids), host: host, epoch: Epoch(1),
            payload: JobPayload(command: CommandID(from: context.ids)), wish: 1, nextAttemptAt: now,
            requestedBy: "measure", createdAt: now, updatedAt: now)
    }
}

/// Work that writes its end and nothing else, as all work does at its end.
private struct NoWork: WorkflowTable, Workflow {
    let database: any Database

    func workflow(for job: Job) -> any Workflow { self }

    func attempt(_ job: Job) async throws -> Attempt {
        try await database.write("measure.end") { tx in
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, .stopped))
        }
        return .ended
    }
}

/// How many jobs have durably ended.
private final class EndedJobs: Sendable {
    private struct State {
        var count = 0
        var wanted = Int.max
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.count } }

    func add(_ events: [NumberedEvent]) {
        let more = events.count { $0.event.kind == "job.succeeded" }
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.count += more
            guard state.count >= state.wanted else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// One waiter at a time.
    func reach(_ count: Int) async throws {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.count >= count { return true }
                (state.wanted, state.waiter) = (count, continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }
}
