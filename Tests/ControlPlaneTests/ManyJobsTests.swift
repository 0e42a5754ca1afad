import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import SQLStore
import Synchronization
import Testing

@Suite struct ManyJobsTests {
    private static let count = 100_000

    @Test(.timeLimit(.minutes(5)))
    func `100,000 jobs wait for one host; it connects: all done, one attempt each, and others are answered meanwhile`()
        async throws
    {
        let directory = FileManager.default.temporaryDirectory.appending(path: "roost-many-\(UUID())").path()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (feed, ends) = (CommitFeed(), Ends())
        let store = try SQLiteDatabase(
            path: "\(directory)/roost.db", clock: SystemTime(), faults: NoFaultPoints(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onCommit: { events, jobs in
                feed.committed(jobsTouched: jobs)
                ends.note(events)
            })
        defer { store.close() }
        let rig = try await Rig(store: store, feed: feed)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostB)
        let other = try await rig.runningVM("other", on: "b").id
        rig.hosts.decideFate { command in
            if case .stop(let stop) = command, stop.vm != other { return .answer(.notFound) }
            return .deliver
        }
        try await leaveStops(Self.count, on: rigHostA, in: rig)
        let before = ends.count

        try await rig.connect(rigHostA)
        // Others' requests, each to its end, while that host's jobs are done.
        var answered = 0
        while ends.count - before < Self.count {
            _ = try await rig.vm("other")
            let stop = try await rig.vms.stop("other", StopRequest(mode: .cold), by: Rig.operatorCaller)
            #expect(try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60)).outcome == .stopped)
            let start = try await rig.vms.start("other", on: "b", by: Rig.operatorCaller)
            #expect(try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(60)).outcome == .started)
            if ends.count - before < Self.count { answered += 1 }
        }
        #expect(answered >= 3)
        let attempts = try await attemptsOfStops(in: rig)
        #expect(attempts == [1: Self.count])
    }

    /// Stops of domains that no record owns, left while the host is away: not due before its next session.
    private func leaveStops(_ count: Int, on host: HostID, in rig: Rig) async throws {
        let later = rig.context.time.wall().adding(.seconds(3600))
        for _ in 0..<(count / 1000) {
            let jobs = (0..<1000).map { _ in
                Job(
                    id: JobID(from: rig.context.ids), kind: .stopVM, vm: VMID(from: rig.context.ids), host: host,
                    epoch: Epoch(1), payload: JobPayload(mode: .cold, command: CommandID(from: rig.context.ids)),
                    wish: 1, nextAttemptAt: later, requestedBy: "test", createdAt: later, updatedAt: later)
            }
            try await rig.database.write("leave") { tx in for job in jobs { _ = try tx.enqueue(job) } }
        }
    }

    /// How many stops have ended well, by the number of their attempts.
    private func attemptsOfStops(in rig: Rig) async throws -> [Int: Int] {
        var found: [Int: Int] = [:]
        var query = ListQuery(filters: ["purpose": "gc", "host": rigHostA.rawValue, "state": "done"], limit: 5000)
        repeat {
            let page = try await rig.database.read { [query] tx in try tx.jobs(query) }
            for job in page.items where job.outcome == .notFound { found[job.attempts, default: 0] += 1 }
            query.after = page.next
        } while query.after != nil
        return found
    }
}

/// How many stop-vm jobs have durably ended.
private final class Ends: Sendable {
    private let ended = Mutex(0)

    var count: Int { ended.withLock { $0 } }

    func note(_ events: [NumberedEvent]) {
        let more = events.count { $0.event.kind == "job.succeeded" && $0.event.host == rigHostA }
        ended.withLock { $0 += more }
    }
}
