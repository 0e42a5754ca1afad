import ControlPlane
import Domain
import Synchronization
import Testing

extension Check {
    static let transactionChecks = [
        Check("what a write returned is there for every later read", writesAreRead),
        Check("nothing is kept of a body that throws", failedBodyKeepsNothing),
        Check("a body that lost a race runs again on what is there", lostRaceRunsAgain),
        Check("a body that loses every race fails as unavailable, and is not run for ever", hopelessRaceEnds),
        Check("a second record with the same id is refused as a defect", duplicateIDIsRefused),
        Check("a cancelled caller still gets the result of its write", cancelledCallerGetsResult),
        Check("a write sees the time of the clock", nowIsTheClocks),
    ]

    @Sendable private static func writesAreRead(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == Sample.vm(1))
    }

    @Sendable private static func failedBodyKeepsNothing(_ store: any Database, _: ManualClock) async throws {
        await #expect(throws: Refusal()) {
            try await store.write("refused") { transaction in
                try transaction.insert(Sample.vm(1))
                _ = try transaction.enqueue(Sample.job(1))
                try transaction.append(Event(kind: "vm.created", message: "Made."))
                throw Refusal()
            }
        }
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == nil)
        #expect(try await store.read { try $0.job(Sample.jobID(1)) } == nil)
        #expect(try await store.read { try $0.events(after: 0, limit: 10) }.isEmpty)
    }

    @Sendable private static func lostRaceRunsAgain(_ store: any Database, _: ManualClock) async throws {
        let runs = Mutex(0)
        try await store.write("raced") { transaction in
            let run = runs.withLock { count in
                count += 1
                return count
            }
            try transaction.insert(Sample.vm(run))
            if run < 3 { throw LostRace() }
        }
        #expect(runs.withLock { $0 } == 3)
        #expect(try await store.read { try $0.vms(ListQuery()).items.map(\.id) } == [Sample.vmID(3)])
    }

    @Sendable private static func hopelessRaceEnds(_ store: any Database, _: ManualClock) async throws {
        let fault = await #expect(throws: Fault.self) {
            try await store.write("hopeless") { transaction in
                try transaction.insert(Sample.vm(1))
                throw LostRace()
            }
        }
        #expect(fault?.code == .storeUnavailable)
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == nil)
    }

    @Sendable private static func duplicateIDIsRefused(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        let fault = await #expect(throws: Fault.self) {
            try await store.write("again") { try $0.insert(Sample.vm(1, name: "other")) }
        }
        #expect(fault?.kind == .bug)
    }

    @Sendable private static func cancelledCallerGetsResult(_ store: any Database, _: ManualClock) async throws {
        let caller = Task {
            try await store.write("cancelled") { try $0.insert(Sample.vm(1)) }
            return try await store.read { try $0.vm(Sample.vmID(1)) }
        }
        caller.cancel()
        #expect(try await caller.value == Sample.vm(1))
    }

    @Sendable private static func nowIsTheClocks(_ store: any Database, _ clock: ManualClock) async throws {
        clock.advance(by: .seconds(5))
        let seen = try await store.write("look") { $0.now }
        #expect(seen == clock.wall())
    }

    struct Refusal: Error, Hashable {}
}
