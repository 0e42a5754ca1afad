import ControlPlane
import Domain
import Testing

extension Check {
    static let recoveryChecks = [
        Check("whether the records were restored is read as it was written", recoveryIsKept),
        Check("hosts that are awaited are found, deleted ones too", awaitedHostsAreFound),
        Check("every VM, sighting and unfinished job is listed", allIsListed),
        Check("a broken lease writes nothing more, and its job waits", leasesAreBroken),
        Check("the highest epoch is that of any record, sighting or host", highestEpochIsFound),
        Check("event numbers go on above those that were skipped", eventIDsAreSkipped),
    ]

    @Sendable private static func recoveryIsKept(_ store: any Database, _ clock: ManualClock) async throws {
        #expect(try await store.read { try $0.recovery() } == Recovery())
        let observing = Recovery(
            generation: 3, observing: Recovery.Observing(since: clock.wall(), reason: "A copy."),
            heard: RecordPoint(generation: 2, event: 77))
        try await store.write("put") { try $0.put(observing) }
        #expect(try await store.read { try $0.recovery() } == observing)
        var acting = observing
        acting.observing = nil
        let next = acting
        try await store.write("put") { try $0.put(next) }
        #expect(try await store.read { try $0.recovery() } == next)
    }

    @Sendable private static func awaitedHostsAreFound(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("insert") { transaction in
            for number in 1...3 {
                var host = Sample.host(number)
                host.isAwaited = number > 1
                host.highestEpoch = Epoch(Int64(number))
                host.deletedAt = number == 3 ? transaction.now : nil
                try transaction.insert(host)
            }
        }
        let found = try await store.read { try $0.awaitedHosts() }
        #expect(found.map(\.id) == [Sample.hostID(2), Sample.hostID(3)])
        #expect(found.map(\.highestEpoch) == [Epoch(2), Epoch(3)])
        try await store.write("heard") { transaction in
            for var host in try transaction.awaitedHosts() {
                host.isAwaited = false
                _ = try transaction.replace(host, atRevision: host.revision)
            }
        }
        #expect(try await store.read { try $0.awaitedHosts() }.isEmpty)
    }

    @Sendable private static func allIsListed(_ store: any Database, _ clock: ManualClock) async throws {
        let seen = Sighting(
            vm: Sample.vmID(9), host: Sample.hostID(1), epoch: Epoch(4), state: "running", seenAt: clock.wall())
        try await store.write("insert") { transaction in
            for (number, state) in [(1, VMState.created), (2, .destroyed), (3, .expunging)] {
                try transaction.insert(Sample.vm(number, state: state))
            }
            try transaction.put(seen)
            for number in 1...3 { _ = try transaction.enqueue(Sample.job(number)) }
            _ = try transaction.replace(ended(Sample.job(2)), atRevision: 1)
        }
        #expect(try await store.read { try $0.allVMs() }.map(\.id) == (1...3).map { Sample.vmID($0) })
        #expect(try await store.read { try $0.allSightings() } == [seen])
        #expect(try await store.read { try $0.unfinishedJobs() }.map(\.id) == [Sample.jobID(1), Sample.jobID(3)])
    }

    private static func ended(_ job: Job) -> Job {
        var next = job
        next.state = .ended(JobEnd(.cancelled, .recordsRestored))
        next.endedAt = job.createdAt
        return next
    }

    @Sendable private static func leasesAreBroken(_ store: any Database, _: ManualClock) async throws {
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(1)) }
        let claimed = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 1) }
        let job = try #require(claimed.first)
        try await store.write("break") { try $0.breakLeases() }
        #expect(try await store.read { try $0.job(job.id)?.state } == .waiting)
        #expect(try await store.write("late") { try $0.replace(job, underLease: job.leaseToken) } == nil)
    }

    @Sendable private static func highestEpochIsFound(_ store: any Database, _ clock: ManualClock) async throws {
        #expect(try await store.read { try $0.highestEpoch() } == .none)
        let now = clock.wall()
        try await store.write("vm") { transaction in
            try transaction.insert(Sample.vm(1, state: .running(Sample.placement(1, epoch: 5))))
        }
        #expect(try await store.read { try $0.highestEpoch() } == Epoch(5))
        try await store.write("sighting") { transaction in
            try transaction.put(
                Sighting(vm: Sample.vmID(1), host: Sample.hostID(1), epoch: Epoch(6), state: "running", seenAt: now))
        }
        #expect(try await store.read { try $0.highestEpoch() } == Epoch(6))
        try await store.write("host") { transaction in
            var host = Sample.host(1)
            host.highestEpoch = Epoch(1_000_007)
            try transaction.insert(host)
        }
        #expect(try await store.read { try $0.highestEpoch() } == Epoch(1_000_007))
    }

    @Sendable private static func eventIDsAreSkipped(_ store: any Database, _: ManualClock) async throws {
        try await store.write("first") { try $0.append(Event(kind: "vm.running", message: "One.")) }
        try await store.write("skip") { try $0.skipEventIDs(past: 1000) }
        try await store.write("back") { try $0.skipEventIDs(past: 10) }
        try await store.write("second") { try $0.append(Event(kind: "vm.running", message: "Two.")) }
        #expect(try await store.read { try $0.events(after: 0, limit: 9) }.map(\.id) == [1, 1001])
        #expect(try await store.read { try $0.latestEventID() } == 1001)
    }
}
