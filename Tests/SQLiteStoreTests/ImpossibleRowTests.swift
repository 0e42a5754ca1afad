import ControlPlane
import Domain
import StoreConformance
import Testing

@testable import SQLStore

@Suite struct ImpossibleRowTests {
    @Test(arguments: [
        "UPDATE vm SET state = 'dreaming'",
        "UPDATE vm SET wait_reason = 'host-disconnected'",
        "UPDATE vm SET stop_cause = 'requested'",
        "UPDATE vm SET state = 'unknown', wait_reason = NULL",
        "UPDATE vm SET state = 'unknown', wait_reason = 'no such reason'",
        "UPDATE vm SET placement_host = 'not an id'",
        "UPDATE vm SET observed_session = 1",
        "UPDATE vm SET domain_seen = 2",
        "UPDATE vm SET cpus = 'many'",
        "UPDATE vm SET image = ''",
        "UPDATE vm SET state = 'destroyed', placement_host = NULL, placement_epoch = NULL",
    ])
    func `a VM's row that makes no sense is refused by name`(change: String) async throws {
        let store = try TemporaryStore.inMemory()
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.vm(1, state: .running(Sample.placement(1, epoch: 1))))
        }
        try await store.raw(change)
        let fault = await #expect(throws: Fault.self) { _ = try await store.read { try $0.vm(Sample.vmID(1)) } }
        #expect(fault?.kind == .bug)
        #expect(fault?.message.contains("VM '\(Sample.vmID(1))'") == true)
    }

    @Test(arguments: [
        "UPDATE vm SET state = 'stopped', stop_cause = 'requested'",
        "UPDATE vm SET placement_host = NULL",
        "UPDATE vm SET placement_host = NULL, placement_epoch = NULL",
        "UPDATE vm SET placement_epoch = 9",
        "UPDATE vm SET state = 'expunging'",
        "UPDATE vm SET expunge_at = 1",
    ])
    func `the database itself refuses a VM whose state and placement contradict each other`(change: String) async throws
    {
        let store = try TemporaryStore.inMemory()
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.vm(1, state: .running(Sample.placement(1, epoch: 1))))
        }
        let fault = await #expect(throws: Fault.self) { try await store.raw(change) }
        #expect(fault?.kind == .bug)
    }

    @Test(arguments: [
        "UPDATE job SET fault = '{}'", "UPDATE job SET outcome = 'stopped'", "UPDATE job SET vm = 'nobody'",
    ])
    func `a job's row that makes no sense is refused by name`(change: String) async throws {
        let store = try TemporaryStore.inMemory()
        try await store.write("enqueue") { _ = try $0.enqueue(Sample.job(1)) }
        try await store.raw(change)
        let fault = await #expect(throws: Fault.self) { _ = try await store.read { try $0.job(Sample.jobID(1)) } }
        #expect(fault?.message.contains("job '\(Sample.jobID(1))'") == true)
    }
}

extension TemporaryStore {
    static func inMemory() throws -> SQLiteDatabase {
        let place = try TemporaryStore()
        defer { place.remove() }
        return try place.openInMemory()
    }
}
