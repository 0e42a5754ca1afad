import ControlPlane
import Domain
import PostgresBench
import StoreConformance
import Testing

@testable import SQLStore

/// What the store makes of a PostgreSQL that goes away, on a server of the suite's own that waits for its disk.
@Suite(.serialized) struct LossTests {
    private let server: PostgresServer

    init() throws { server = try PostgresServer() }

    /// Whoever is told that a write was kept finds it later, once; whoever is told that it was not never finds it.
    @Test(arguments: ["stop", "crash", "kill"])
    func `under 16 writers the database is restarted: nothing is lost and nothing is there twice`(
        how: String
    ) async throws {
        let place = try TemporaryDatabase(on: server)
        let store = try place.open()
        let written = Shared<Set<VMID>>([])
        let isOver = Shared(false)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<16 {
                group.addTask {
                    var number = writer * 100_000
                    while !isOver.value {
                        number += 1
                        let vm = Sample.vm(number)
                        // A body that was kept and is run again meets its own row.
                        try await store.write("insert") { try $0.insert(vm) }
                        written.change { $0.insert(vm.id) }
                    }
                }
            }
            group.addTask {
                for round in 1...3 {
                    try await waitUntil("there are writes") { written.value.count > round * 50 }
                    switch how {
                    case "stop": try server.stop()
                    case "crash": try server.crash()
                    default: try server.kill()
                    }
                    try server.start()
                }
                let before = written.value.count
                try await waitUntil("writes go on") { written.value.count > before + 50 }
                isOver.change { $0 = true }
            }
            try await group.waitForAll()
        }
        let there = try await store.read { try $0.vms(ListQuery(limit: 1_000_000)).items.map(\.id) }
        #expect(Set(there) == written.value)
        #expect(there.count == Set(there).count)
        store.close()
    }

    @Test func `a connection that is lost before the commit costs nothing: the bodies run again`() async throws {
        let place = try TemporaryDatabase(on: server)
        let gate = Gate(holding: "before-insert")
        let store = try place.open(faults: gate)
        let writing = Task { try await store.write("insert") { try $0.insert(Sample.vm(1)) } }
        try await waitUntil("the commit is held") { gate.reached.contains("before-insert") }
        try cutOffWriter(of: place)
        gate.open()
        try await writing.value
        #expect(gate.reached.count { $0 == "before-insert" } == 2)
        #expect(try await store.read { try $0.vms(ListQuery()).items.count } == 1)
        store.close()
    }

    @Test func `a commit whose answer is lost is asked for by its number, and not done again`() async throws {
        let place = try TemporaryDatabase(on: server)
        let runs = Shared(0)
        let store = try place.open()
        // With a standby that never comes the commit is on disk, and its answer waits.
        try server.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", on: "postgres")
        try server.run("SELECT pg_reload_conf()", on: "postgres")
        let writing = Task {
            try await store.write("insert") { transaction in
                runs.change { $0 += 1 }
                try transaction.insert(Sample.vm(1))
            }
        }
        try await waitUntil("the commit waits") {
            try !server.run("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'", on: "postgres").isEmpty
        }
        try server.run("ALTER SYSTEM RESET synchronous_standby_names", on: "postgres")
        try cutOffWriter(of: place)
        try await writing.value
        #expect(runs.value == 1)
        #expect(try await store.read { try $0.vms(ListQuery()).items.count } == 1)
        store.close()
        try server.run("SELECT pg_reload_conf()", on: "postgres")
    }

    @Test func `a write that a power cut undid is done again, whatever was committed meanwhile`()
        async throws
    {
        let place = try TemporaryDatabase(on: server)
        let gate = Gate(holding: "before-insert")
        let store = try place.open(faults: gate)
        try server.run("CREATE TABLE other (number xid8)", on: place.url)
        let writing = Task { try await store.write("insert") { try $0.insert(Sample.vm(1)) } }
        try await waitUntil("the commit is held") { gate.reached.contains("before-insert") }
        try server.kill()
        try server.start()
        // PostgreSQL gives the numbers of transactions that never reached the disk to these.
        for _ in 1...5 {
            try server.run("INSERT INTO other VALUES (pg_current_xact_id())", on: place.url)
        }
        gate.open()
        try await writing.value
        #expect(try await store.read { try $0.vms(ListQuery()).items.count } == 1)
        store.close()
    }

    @Test
    func `a node that is frozen in a transaction does not keep the others waiting, and does no harm when it thaws`()
        async throws
    {
        let place = try TemporaryDatabase(on: server)
        let gate = Gate(holding: "before-frozen")
        let (frozen, other) = (try place.open(faults: gate), try place.open())
        let late = Task { try await frozen.write("frozen") { try $0.insert(Sample.vm(1, name: "frozen")) } }
        try await waitUntil("it is held") { gate.reached.contains("before-frozen") }
        // The name is free again once the server has ended the frozen node's transaction.
        try await other.write("insert") { try $0.insert(Sample.vm(2, name: "frozen")) }
        gate.open()
        let fault = await #expect(throws: Fault.self) { try await late.value }
        #expect(fault?.code == .nameTaken)
        #expect(try await other.read { try $0.vms(ListQuery()).items.map(\.id) } == [Sample.vmID(2)])
        frozen.close()
        other.close()
    }

    @Test func `a database that stays away fails reads and writes with a clear fault, and they go on when it is back`()
        async throws
    {
        let place = try TemporaryDatabase(on: server)
        let store = try place.open(patience: .milliseconds(300))
        try server.stop()
        let written = await #expect(throws: Fault.self) {
            try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        }
        let read = await #expect(throws: Fault.self) { try await store.read { try $0.latestEventID() } }
        for fault in [written, read] {
            #expect(fault?.code == .storeUnavailable)
            #expect(fault?.message == "The database cannot be reached.")
        }
        try server.start()
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        #expect(try await store.read { try $0.vms(ListQuery()).items.count } == 1)
        store.close()
    }

    private func cutOffWriter(of place: TemporaryDatabase) throws {
        try server.run(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND (state = 'idle in transaction' OR wait_event = 'SyncRep')
            """, on: place.url)
    }
}
