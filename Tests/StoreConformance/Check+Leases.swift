import ControlPlane
import Domain
import Testing

extension Check {
    static let leaseChecks = [
        Check("due jobs are claimed earliest first, and no others", dueJobsAreClaimed),
        Check("operations are claimed before GC jobs that are due for longer", operationsComeFirst),
        Check("many jobs end in one body, and one whose lease is lost is told from the others", endsAreFenced),
        Check("two claimers never get the same job", claimsAreExclusive),
        Check("a worker whose lease was taken over writes nothing", lostLeaseIsFenced),
        Check("a take-over leaves the leases of its owner alone", takeOverSparesOwner),
        Check("a job under its lease can be put back to wait", jobWaitsAgain),
        Check("nothing takes a parked job up or wakes it, until an operation is looked at again", parkedJobsRest),
        Check("waking a host makes its waiting jobs due, and only them", wakingMakesDue),
        Check("waking drains makes those that wait due, and no other job", drainsAreWoken),
        Check("a step is remembered in order, and only under the lease", stepsAreRemembered),
    ]

    @Sendable private static func dueJobsAreClaimed(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("enqueue") { transaction in
            _ = try transaction.enqueue(Sample.job(1, due: Sample.time))
            _ = try transaction.enqueue(Sample.job(2, due: Sample.time.adding(.seconds(-2))))
            _ = try transaction.enqueue(Sample.job(3, due: Sample.time.adding(.seconds(-1))))
            _ = try transaction.enqueue(Sample.job(4, due: Sample.time.adding(.seconds(60))))
        }
        #expect(try await store.read { try $0.nextDueTime(for: "a") } == Sample.time.adding(.seconds(-2)))
        let first = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 2) }
        #expect(first.map(\.id) == [Sample.jobID(2), Sample.jobID(3)])
        for job in first {
            #expect(job.state == .running)
            #expect(job.owner == "a")
            #expect(job.attempts == 1)
            #expect(job.leaseToken == 1)
            #expect(job.revision == 2)
            #expect(try await store.read { try $0.job(job.id) } == job)
        }
        #expect(
            try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9).map(\.id) } == [
                Sample.jobID(1)
            ])
        #expect(try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9) }.isEmpty)
        clock.advance(by: .seconds(60))
        #expect(try await store.read { try $0.nextDueTime(for: "a") } == clock.wall())
        #expect(
            try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9).map(\.id) } == [
                Sample.jobID(4)
            ])
        #expect(try await store.read { try $0.nextDueTime(for: "a") } == nil)
    }

    @Sendable private static func operationsComeFirst(_ store: any Database, _: ManualClock) async throws {
        try await store.write("enqueue") { transaction in
            for number in 1...5 {
                _ = try transaction.enqueue(Sample.job(number, due: Sample.time.adding(.seconds(-60))))
            }
            _ = try transaction.enqueue(Sample.job(6, .startOperation, due: Sample.time))
            _ = try transaction.enqueue(Sample.job(7, .stopOperation, due: Sample.time.adding(.seconds(-1))))
            _ = try transaction.enqueue(Sample.job(8, .startOperation, due: Sample.time.adding(.seconds(60))))
        }
        let first = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 3) }
        #expect(first.map(\.id) == [7, 6, 1].map { Sample.jobID($0) })
        let rest = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9) }
        #expect(rest.map(\.id) == [2, 3, 4, 5].map { Sample.jobID($0) })
    }

    @Sendable private static func endsAreFenced(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("enqueue") { transaction in
            for number in 1...300 { _ = try transaction.enqueue(Sample.job(number)) }
        }
        let jobs = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 300) }
        #expect(jobs.count == 300)
        // By a hand, meanwhile.
        let lost = try await store.write("hand") { transaction in
            var next = jobs[7]
            next.state = .ended(JobEnd(.cancelled, .cancelledByUser))
            return try transaction.replace(next, atRevision: next.revision)
        }
        let told = try await store.write("end") { transaction in
            try jobs.map { job in
                try transaction.append(Event(kind: "x", job: job.id, message: "Ended."))
                return try transaction.end(job.id, underLease: job.leaseToken, as: JobEnd(.succeeded, .stopped))
            }
        }
        #expect(told == jobs.map { $0.id != lost.id })
        #expect(try await store.read { try $0.job(lost.id) } == lost)
        let fault = Fault(.unavailable, .hostUnreachable, "The host is away.")
        let done = try await store.read { try $0.job(jobs[8].id) }
        #expect(done?.state == .ended(JobEnd(.succeeded, .stopped)))
        #expect((done?.owner, done?.endedAt, done?.revision) == (nil, clock.wall(), jobs[8].revision + 1))
        #expect(done?.payload == jobs[8].payload)
        let events = try await store.read { try $0.events(after: 0, limit: 1000) }
        #expect(events.map(\.id) == (1...300).map { Int64($0) })
        #expect(events.map(\.event.job) == jobs.map(\.id))
        #expect(
            try await store.write("again") {
                try $0.end(jobs[8].id, underLease: jobs[8].leaseToken, as: .failed(fault))
            } == false)
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(301)) }
        let failed = try await claimOne(store, "a")
        #expect(
            try await store.write("fail") { try $0.end(failed.id, underLease: failed.leaseToken, as: .failed(fault)) })
        #expect(try await store.read { try $0.job(failed.id)?.state } == .ended(.failed(fault)))
    }

    @Sendable private static func claimsAreExclusive(_ store: any Database, _: ManualClock) async throws {
        try await store.write("enqueue") { transaction in
            for number in 1...100 { _ = try transaction.enqueue(Sample.job(number)) }
        }
        let claimed = try await withThrowingTaskGroup(of: [JobID].self) { group in
            for claimer in 0..<20 {
                group.addTask {
                    var mine: [JobID] = []
                    while true {
                        let jobs = try await store.write("claim") {
                            try $0.claimDueJobs(owner: "claimer \(claimer)", limit: 3)
                        }
                        if jobs.isEmpty { return mine }
                        mine += jobs.map(\.id)
                    }
                }
            }
            return try await group.reduce(into: [JobID]()) { $0 += $1 }
        }
        #expect(claimed.count == 100)
        #expect(Set(claimed).count == 100)
    }

    @Sendable private static func lostLeaseIsFenced(_ store: any Database, _: ManualClock) async throws {
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(1)) }
        let slow = try await claimOne(store, "slow")
        #expect(try await store.write("take") { try $0.takeOverStrandedLeases() } == 1)
        // Also before somebody else has it.
        try await expectFenced(store, slow)
        let next = try await claimOne(store, "next")
        #expect(next.leaseToken > slow.leaseToken)
        #expect(next.attempts == 2)
        try await expectFenced(store, slow)
        #expect(try await store.read { try $0.job(next.id) } == next)
        let done = try await store.write("end") { try $0.replace(ended(next), underLease: next.leaseToken) }
        #expect(done?.state == .ended(JobEnd(.succeeded, .stopped)))
        #expect(done?.owner == nil)
        try await expectFenced(store, next)
        #expect(try await store.read { try $0.job(next.id) } == done)
    }

    @Sendable private static func takeOverSparesOwner(_ store: any Database, _: ManualClock) async throws {
        try await store.write("enqueue") { transaction in
            _ = try transaction.enqueue(Sample.job(1))
            _ = try transaction.enqueue(Sample.job(2))
        }
        try await store.write("join") { try $0.insert(Sample.node("me")) }
        let mine = try await claimOne(store, "me")
        let other = try await claimOne(store, "other")
        #expect(try await store.write("take") { try $0.takeOverStrandedLeases() } == 1)
        #expect(try await store.read { try $0.job(mine.id) } == mine)
        #expect(try await store.read { try $0.job(other.id)?.state } == .waiting)
        #expect(try await store.read { try $0.job(other.id)?.owner } == nil)
    }

    @Sendable private static func jobWaitsAgain(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(1)) }
        let job = try await claimOne(store, "a")
        let later = clock.wall().adding(.seconds(30))
        let waiting = try await store.write("wait") { transaction in
            var next = job
            next.state = .waiting
            next.note("The host is away.", at: transaction.now)
            next.nextAttemptAt = later
            return try transaction.replace(next, underLease: job.leaseToken)
        }
        #expect(waiting?.state == .waiting)
        #expect(waiting?.owner == nil)
        #expect(waiting?.revision == job.revision + 1)
        #expect(try await store.read { try $0.job(job.id) } == waiting)
        #expect(try await store.read { try $0.nextDueTime(for: "a") } == later)
    }

    @Sendable private static func parkedJobsRest(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("enqueue") { transaction in
            for (number, kind) in [JobKind.stopVM, .startOperation, .maintainOperation].enumerated() {
                _ = try transaction.enqueue(Sample.job(number + 1, kind))
            }
        }
        let claimed = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9) }
        let parked = try await store.write("park") { transaction in
            try claimed.map { job in
                var next = job
                next.state = .parked
                return try #require(try transaction.replace(next, underLease: job.leaseToken))
            }
        }
        #expect(parked.map(\.owner) == [nil, nil, nil])
        clock.advance(by: .seconds(1000))
        try await store.write("wake") { transaction in
            #expect(try transaction.wakeJobs(on: Sample.hostID(1)) == 0)
            try transaction.wakeDrains()
            #expect(try transaction.takeOverStrandedLeases() == 0)
            #expect(try transaction.nextDueTime(for: "a") == nil)
            #expect(try transaction.claimDueJobs(owner: "a", limit: 9).isEmpty)
            for job in parked {
                #expect(try transaction.job(job.id) == job)
                #expect(try transaction.parkedJobs(of: job.vm) == [job])
                #expect(try transaction.unfinishedJobs(of: job.vm) == [job])
                // Its key is still its own.
                #expect(try transaction.enqueue(job) == job)
            }
        }
        try await store.write("retry") { try $0.retryParkedOperations() }
        let again = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9) }
        #expect(again.map(\.id) == [Sample.jobID(2), Sample.jobID(3)])
    }

    @Sendable private static func wakingMakesDue(_ store: any Database, _ clock: ManualClock) async throws {
        let later = Sample.time.adding(.seconds(60))
        let earlier = Sample.time.adding(.seconds(-60))
        try await store.write("enqueue") { transaction in
            _ = try transaction.enqueue(Sample.job(1, host: 1, due: later))
            _ = try transaction.enqueue(Sample.job(2, host: 2, due: later))
            _ = try transaction.enqueue(Sample.job(3, host: 1, due: earlier))
        }
        #expect(try await store.write("wake") { try $0.wakeJobs(on: Sample.hostID(1)) } == 2)
        #expect(try await store.read { try $0.job(Sample.jobID(1))?.nextAttemptAt } == clock.wall())
        #expect(try await store.read { try $0.job(Sample.jobID(2))?.nextAttemptAt } == later)
        #expect(try await store.read { try $0.job(Sample.jobID(3))?.nextAttemptAt } == earlier)
    }

    @Sendable private static func drainsAreWoken(_ store: any Database, _ clock: ManualClock) async throws {
        let later = Sample.time.adding(.seconds(60))
        try await store.write("enqueue") { transaction in
            _ = try transaction.enqueue(Sample.drain(1, host: 1, due: later))
            _ = try transaction.enqueue(Sample.job(2, .stopOperation, host: 1, due: later))
            let same = try transaction.enqueue(Sample.drain(3, host: 1, due: later))
            #expect(same.id == Sample.jobID(1))
            _ = try transaction.enqueue(Sample.drain(4, host: 2))
            #expect(try transaction.openDrain(of: Sample.hostID(1))?.id == Sample.jobID(1))
            #expect(try transaction.openDrain(of: Sample.hostID(3)) == nil)
        }
        let running = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9) }
        #expect(running.map(\.id) == [Sample.jobID(4)])
        clock.advance(by: .seconds(1))
        try await store.write("wake") { try $0.wakeDrains() }
        let woken = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 9) }
        #expect(woken.map(\.id) == [Sample.jobID(1)])
        #expect(try await store.read { try $0.job(Sample.jobID(2)) }?.nextAttemptAt == later)
        try await store.write("end") { transaction in
            var ended = woken[0]
            ended.state = .ended(JobEnd(.succeeded, .drained))
            _ = try transaction.replace(ended, underLease: ended.leaseToken)
        }
        #expect(try await store.read { try $0.openDrain(of: Sample.hostID(1)) } == nil)
    }

    @Sendable private static func stepsAreRemembered(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(1)) }
        let job = try await claimOne(store, "a")
        for name in ["send", "ask", "change"] {
            let held = try await store.write("step") {
                try $0.recordStep("\(name) out", of: job.id, named: name, underLease: job.leaseToken)
            }
            #expect(held)
        }
        #expect(try await store.read { try $0.stepOutput(of: job.id, named: "ask") } == "ask out")
        #expect(try await store.read { try $0.stepOutput(of: job.id, named: "none") } == nil)
        let steps = try await store.read { try $0.steps(of: job.id) }
        #expect(steps.map(\.name) == ["send", "ask", "change"])
        #expect(steps.map(\.at) == [clock.wall(), clock.wall(), clock.wall()])
    }

    static func claimOne(_ store: any Database, _ owner: String) async throws -> Job {
        let claimed = try await store.write("claim") { try $0.claimDueJobs(owner: owner, limit: 1) }
        return try #require(claimed.first)
    }

    /// Neither the job nor a step of it can be written under the lease that `job` was claimed with.
    static func expectFenced(
        _ store: any Database, _ job: Job, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let written = try await store.write("late") { try $0.replace(ended(job), underLease: job.leaseToken) }
        #expect(written == nil, sourceLocation: sourceLocation)
        let recorded = try await store.write("late") {
            try $0.recordStep("late", of: job.id, named: "late", underLease: job.leaseToken)
        }
        #expect(!recorded, sourceLocation: sourceLocation)
        let output = try await store.read { try $0.stepOutput(of: job.id, named: "late") }
        #expect(output == nil, sourceLocation: sourceLocation)
    }
}
