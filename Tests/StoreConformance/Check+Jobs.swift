import ControlPlane
import Domain
import Testing

extension Check {
    static let jobChecks = [
        Check("a job is read as it was written, also with its end", jobIsRead),
        Check("one unfinished job has a unique key, and the second gets the first", uniqueKeyIsKept),
        Check("of many who enqueue under one key, all get the same job", manyEnqueueOne),
        Check("a job is replaced only at its revision", jobIsReplacedAtRevision),
        Check("unfinished jobs are found by VM and by host", unfinishedJobsAreFound),
        Check("old ended jobs are removed with their steps by how they ended, a few at a time", endedJobsAreRemoved),
    ]

    @Sendable private static func jobIsRead(_ store: any Database, _: ManualClock) async throws {
        let payload = JobPayload(mode: .force, timeout: 5, isDeferrable: true, removesDisk: false)
        let ends: [JobState] = [
            .waiting, .parked, .ended(JobEnd(.succeeded, .stopped)), .ended(JobEnd(.superseded, .superseded)),
            .ended(
                .failed(Fault(.unavailable, .hostUnreachable, "It is off.", hint: "Turn it on.", field: "host"))),
        ]
        for (number, state) in ends.enumerated() {
            var job = Sample.job(number + 1)
            job.payload = payload
            job.state = state
            job.note("it's away", at: Sample.time)
            job.note("still away", at: Sample.time.adding(.seconds(1)))
            job.endedAt = state.isEnded ? Sample.time : nil
            // A parked job is due at no time, whatever it was due at before.
            let given = job
            if state == .parked { job.nextAttemptAt = .never }
            let kept = job
            let enqueued = try await store.write("enqueue") { try $0.enqueue(given) }
            #expect(enqueued == kept)
            #expect(try await store.read { try $0.job(given.id) } == kept)
        }
    }

    @Sendable private static func uniqueKeyIsKept(_ store: any Database, _: ManualClock) async throws {
        let first = try await store.write("enqueue") { try $0.enqueue(Sample.job(1, vm: 1)) }
        #expect(try await store.write("enqueue") { try $0.enqueue(Sample.job(2, vm: 1)) } == first)
        #expect(
            try await store.write("enqueue") { try $0.enqueue(Sample.job(3, vm: 1, epoch: 2)) }.id
                == Sample.jobID(3))
        _ = try await store.write("end") { try $0.replace(ended(first), atRevision: 1) }
        #expect(try await store.write("enqueue") { try $0.enqueue(Sample.job(2, vm: 1)) }.id == Sample.jobID(2))
    }

    @Sendable private static func manyEnqueueOne(_ store: any Database, _: ManualClock) async throws {
        let ids = try await withThrowingTaskGroup(of: JobID.self) { group in
            for number in 1...32 {
                group.addTask {
                    try await store.write("enqueue") {
                        try $0.enqueue(Sample.job(number, .stopOperation, vm: 1)).id
                    }
                }
            }
            return try await group.reduce(into: Set<JobID>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(try await store.read { try $0.unfinishedJobs(of: Sample.vmID(1)).count } == 1)
    }

    @Sendable private static func jobIsReplacedAtRevision(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(1)) }
        clock.advance(by: .seconds(1))
        let stored = try await store.write("end") { try $0.replace(ended(Sample.job(1)), atRevision: 1) }
        #expect(stored.revision == 2)
        #expect(stored.endedAt == clock.wall())
        #expect(try await store.read { try $0.job(stored.id) } == stored)
        await #expect(throws: Fault.self) {
            try await store.write("late") { _ = try $0.replace(Sample.job(1), atRevision: 1) }
        }
        #expect(try await store.read { try $0.job(stored.id) } == stored)
    }

    @Sendable private static func unfinishedJobsAreFound(_ store: any Database, _: ManualClock) async throws {
        try await store.write("enqueue") { transaction in
            _ = try transaction.enqueue(Sample.job(1, vm: 1, host: 1))
            _ = try transaction.enqueue(Sample.job(2, .stopOperation, vm: 1, host: 2))
            _ = try transaction.enqueue(Sample.job(3, vm: 2, host: 1))
            _ = try transaction.replace(ended(Sample.job(3, vm: 2, host: 1)), atRevision: 1)
        }
        #expect(
            try await store.read { try $0.unfinishedJobs(of: Sample.vmID(1)).map(\.id) } == [
                Sample.jobID(1), Sample.jobID(2),
            ])
        #expect(try await store.read { try $0.unfinishedJobs(on: Sample.hostID(1)).map(\.id) } == [Sample.jobID(1)])
    }

    @Sendable private static func endedJobsAreRemoved(_ store: any Database, _ clock: ManualClock) async throws {
        for number in 1...3 { try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(number)) } }
        let claimed = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 10) }
        for job in claimed {
            _ = try await store.write("end") { transaction in
                _ = try transaction.recordStep("out", of: job.id, named: "s", underLease: job.leaseToken)
                return try transaction.replace(ended(job), underLease: job.leaseToken)
            }
        }
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(9)) }
        try await store.write("fail") { transaction in
            _ = try transaction.enqueue(Sample.job(8))
            _ = try transaction.replace(ended(Sample.job(8), .failed), atRevision: 1)
        }
        #expect(try await store.write("sweep") { try $0.removeJobs(.succeeded, before: $0.now, limit: 10) } == 0)
        clock.advance(by: .seconds(1))
        #expect(try await store.write("sweep") { try $0.removeJobs(.succeeded, before: $0.now, limit: 2) } == 2)
        #expect(try await store.write("sweep") { try $0.removeJobs(.succeeded, before: $0.now, limit: 2) } == 1)
        #expect(
            try await store.read { try $0.jobs(ListQuery()).items.map(\.id) } == [Sample.jobID(8), Sample.jobID(9)])
        #expect(try await store.write("sweep") { try $0.removeJobs(.failed, before: $0.now, limit: 2) } == 1)
        #expect(try await store.read { try $0.steps(of: Sample.jobID(1)) }.isEmpty)
    }

    static func ended(_ job: Job, _ verdict: JobEnd.Verdict = .succeeded) -> Job {
        var next = job
        next.state = .ended(JobEnd(verdict, .stopped))
        return next
    }
}
