import ControlPlane
import Domain
import Testing

/// What has ended is kept for a time that depends on how it ended.
@Suite struct RetentionTests {
    /// A store with jobs that ended, each so many hours ago.
    private func store(_ ends: [(verdict: JobEnd.Verdict, hours: Int)]) async throws -> Rig {
        let rig = try await Rig { settings in
            settings.requestRetention = .zero
            settings.jobRetention = .seconds(10 * 3600)
            settings.failedJobRetention = .seconds(20 * 3600)
            settings.eventRetention = .seconds(30 * 3600)
        }
        for (number, end) in ends.enumerated() {
            try await rig.database.write("end") { tx in
                let digits = String(number + 10)
                let time = tx.now.adding(.seconds(-3600 * end.hours))
                _ = try tx.enqueue(
                    Job(
                        id: JobID(trusted: "eeeeeeee-0000-4000-8000-0000000000\(digits)"), kind: .stopVM,
                        vm: VMID(trusted: "cccccccc-0000-4000-8000-0000000000\(digits)"), host: rigHostA,
                        epoch: Epoch(1), payload: JobPayload(), state: .ended(JobEnd(end.verdict, .superseded)),
                        wish: 1, nextAttemptAt: time, requestedBy: "admin", createdAt: time, updatedAt: time,
                        endedAt: time))
            }
        }
        return rig
    }

    @Test func `done jobs are kept for one time, and failed, superseded and cancelled ones for another`() async throws {
        let verdicts = JobEnd.Verdict.allCases
        let rig = try await store([9, 11, 19, 21].flatMap { hours in verdicts.map { ($0, hours) } })
        try await Retention(rig.context).sweep()
        let kept = try await rig.gcJobs().compactMap { job -> String? in
            guard case .ended(let end) = job.state, let at = job.endedAt else { return nil }
            let age = rig.context.time.wall().milliseconds - at.milliseconds
            return "\(end.verdict.rawValue) \(age / 3_600_000)"
        }
        let expected = verdicts.flatMap { verdict in
            (verdict == .succeeded ? [9] : [9, 11, 19]).map { "\(verdict.rawValue) \($0)" }
        }
        #expect(Set(kept) == Set(expected))
    }

    @Test func `more than a batch of old jobs goes in one sweep, and what has not ended stays`() async throws {
        let rig = try await store([])
        try await rig.database.write("fill") { tx in
            let time = tx.now.adding(.seconds(-3600 * 100))
            for number in 1000..<2100 {
                let isWaiting = number == 2000
                _ = try tx.enqueue(
                    Job(
                        id: JobID(trusted: "eeeeeeee-0000-4000-8000-00000000\(number)"), kind: .stopVM,
                        vm: VMID(trusted: "cccccccc-0000-4000-8000-00000000\(number)"), host: rigHostA,
                        epoch: Epoch(1), payload: JobPayload(),
                        state: isWaiting ? .parked : .ended(JobEnd(.succeeded, .stopped)), wish: 1,
                        nextAttemptAt: time, requestedBy: "admin", createdAt: time, updatedAt: time,
                        endedAt: isWaiting ? nil : time))
            }
        }
        try await Retention(rig.context).sweep()
        #expect(try await rig.gcJobs().map(\.state) == [.parked])
    }

    @Test func `a reader that falls behind what is kept is told so`() async throws {
        let rig = try await store([])
        for number in 1...4 {
            try await rig.database.write("tell") { try $0.append(Event(kind: "test", message: "\(number)")) }
        }
        try await rig.database.write("forget") { tx in
            _ = try tx.removeEvents(before: tx.now.adding(.seconds(60)), limit: 2)
        }
        let events = EventService(rig.context)
        #expect(try await events.next(after: 2, limit: 9, atMost: .zero).map(\.id) == [3, 4])
        #expect(try await events.next(after: 0, limit: 9, atMost: .zero).map(\.id) == [3, 4])
        let fault = await #expect(throws: Fault.self) {
            _ = try await events.next(after: 1, limit: 9, atMost: .zero)
        }
        #expect(fault?.code == .eventsExpired)
    }

    @Test func `events are kept for a time of their own, and their numbers go on`() async throws {
        let rig = try await store([])
        try await rig.database.write("tell") { try $0.append(Event(kind: "test", message: "one")) }
        try await Retention(rig.context).sweep()
        #expect(try await rig.database.read { try $0.oldestEventID() } == 1)
        var settings = rig.context.settings
        settings.eventRetention = .milliseconds(-10)
        try await Retention(rig.context.replacing(settings: settings)).sweep()
        #expect(try await rig.database.read { try $0.oldestEventID() } == nil)
        try await rig.database.write("tell") { try $0.append(Event(kind: "test", message: "two")) }
        #expect(try await rig.database.read { try $0.oldestEventID() } == 2)
    }
}
