import ControlPlane
import Domain
import Foundation
import StoreConformance
import Testing

@testable import SQLStore

@Suite struct DatabaseFileTests {
    @Test func `every commit waits for the disk, and other tools can read the file meanwhile`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        #expect(try await store.raw("PRAGMA synchronous") == [.integer(2)])
        #expect(try await store.raw("PRAGMA journal_mode") == [.text("wal")])
        #expect(try await store.raw("PRAGMA foreign_keys") == [.integer(1)])
        store.close()
    }

    @Test func `opening again changes nothing`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let first = try place.open()
        try await first.write("insert") { try $0.insert(Sample.vm(1)) }
        first.close()
        let second = try place.open()
        #expect(try await second.read { try $0.vm(Sample.vmID(1)) } == Sample.vm(1))
        #expect(
            try await second.raw("SELECT version FROM schema_version") == Schema.migrations.map { SQLValue($0.version) }
        )
        second.close()
    }

    @Test func `a database of the first schema gets the columns it lacks, and keeps its rows`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let first = try place.open()
        try await first.write("insert") { transaction in
            try transaction.insert(Sample.vm(1))
            try transaction.insert(Sample.host(1))
        }
        for index in ["vm_destination", "job_peer", "vm_expunge", "vm_past_name", "vm_name"] {
            try await first.raw("DROP INDEX \(index)")
        }
        try await first.raw("CREATE UNIQUE INDEX vm_name ON vm (name) WHERE state <> 'destroyed'")
        for column in [
            "labels", "host_labels", "affinity", "anti_affinity", "destination_host", "destination_epoch",
            "destination_wait_reason", "last_epoch", "expunge_at",
        ] {
            try await first.raw("ALTER TABLE vm DROP COLUMN \(column)")
        }
        for column in ["labels", "node", "highest_epoch", "awaited"] {
            try await first.raw("ALTER TABLE host DROP COLUMN \(column)")
        }
        for table in ["node", "errand", "writer", "schema_reader", "recovery", "lessee"] {
            try await first.raw("DROP TABLE \(table)")
        }
        try await first.raw("ALTER TABLE job DROP COLUMN peer")
        try await first.raw("UPDATE vm SET last_host = '\(Sample.hostID(9))', epoch = 5")
        try await first.raw("DELETE FROM schema_version WHERE version > 1")
        first.close()
        let second = try place.open()
        var known = Sample.vm(1)
        known.epoch = Epoch(5)
        known.lastPlacement = Placement(host: Sample.hostID(9), epoch: Epoch(5))
        #expect(try await second.read { try $0.vm(Sample.vmID(1)) } == known)
        #expect(try await second.read { try $0.host(Sample.hostID(1)) } == Sample.host(1))
        second.close()
    }

    @Test func `a database from a newer release is refused and left as it is`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        try await store.raw("INSERT INTO schema_version (version, name, applied_at) VALUES (99, 'later', 0)")
        store.close()
        let fault = #expect(throws: Fault.self) { try place.open() }
        #expect(fault?.code == .storeUnavailable)
        #expect(fault?.message.contains("newer release") == true)
        #expect(fault?.message.contains("99") == true)
        #expect(fault?.hint?.isEmpty == false)
    }

    @Test(arguments: [0, 1])
    func `a database that a newer release has changed is worked on only if that release says so`(
        beyond: Int
    ) async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        for (version, oldest) in [(98, Schema.newest), (99, Schema.newest + beyond)] {
            try await store.raw(
                "INSERT INTO schema_version (version, name, applied_at) VALUES (\(version), 'later', 0)")
            try await store.raw("INSERT INTO schema_reader (version, oldest) VALUES (\(version), \(oldest))")
        }
        // As such a step may: what this release does not know has a default.
        try await store.raw("ALTER TABLE vm ADD COLUMN later TEXT NOT NULL DEFAULT 'x'")
        store.close()
        guard beyond == 0 else {
            let fault = #expect(throws: Fault.self) { try place.open() }
            #expect(fault?.message.contains("newer release") == true)
            return
        }
        let again = try place.open()
        try await again.write("insert") { try $0.insert(Sample.vm(1)) }
        #expect(try await again.read { try $0.vm(Sample.vmID(1)) } == Sample.vm(1))
        #expect(try await again.raw("SELECT MAX(version) FROM schema_version") == [SQLValue(99)])
        again.close()
    }

    @Test func `a file that is no database is a clear error`() throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        try Data(repeating: 0x42, count: 8192).write(to: URL(fileURLWithPath: place.path))
        let fault = #expect(throws: Fault.self) { try place.open() }
        #expect(fault?.code == .storeUnavailable)
        #expect(fault?.message == "The database '\(place.path)' is damaged, or is no database at all.")
    }

    @Test func `a damaged page is an unavailable store, not a wrong answer`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        try await store.write("insert") { transaction in
            for number in 1...500 { try transaction.insert(Sample.vm(number)) }
        }
        store.close()
        // The header and the schema on the first pages stay: the damage is met by a query.
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: place.path))
        let size = try file.seekToEnd()
        try file.seek(toOffset: size / 2)
        try file.write(contentsOf: Data(repeating: 0xFF, count: Int(size / 2)))
        try file.close()
        let fault = await #expect(throws: Fault.self) {
            let damaged = try place.open()
            defer { damaged.close() }
            _ = try await damaged.read { try $0.vms(ListQuery(limit: 1000)) }
        }
        #expect(fault?.code == .storeUnavailable)
        #expect(fault?.message.contains("damaged") == true)
    }

    @Test func `a directory that is not there is a clear error`() throws {
        let place = try TemporaryStore()
        place.remove()
        let fault = #expect(throws: Fault.self) { try place.open() }
        #expect(fault?.code == .storeUnavailable)
        #expect(fault?.message.contains("cannot be opened") == true)
    }

    @Test func `a full disk fails the writes of the commit, and the store goes on when there is room`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        try await store.raw("PRAGMA max_page_count = 1")
        let fault = await #expect(throws: Fault.self) {
            try await store.write("fill") { transaction in
                for number in 1...2000 { try transaction.insert(Sample.vm(number)) }
            }
        }
        #expect(fault?.code == .storeUnavailable)
        #expect(fault?.message.contains("full") == true)
        try await store.raw("PRAGMA max_page_count = 100000")
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        #expect(try await store.read { try $0.vms(ListQuery()).items.count } == 1)
        store.close()
    }

    @Test func `a write inside a read is refused`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let stores = [try place.open(), try place.openInMemory()]
        for store in stores {
            let fault = await #expect(throws: Fault.self) { try await store.read { try $0.insert(Sample.vm(1)) } }
            #expect(fault?.kind == .bug)
            #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == nil)
            store.close()
        }
    }
}

extension SQLiteDatabase {
    /// The first column of what `statement` returns on the bare connection, as the database's own tools see it.
    @discardableResult
    func raw(_ statement: String) async throws -> [SQLValue] {
        try await write("raw") { transaction in
            try #require(transaction as? SQLTransaction).sql.query(statement).compactMap(\.values.first)
        }
    }
}
