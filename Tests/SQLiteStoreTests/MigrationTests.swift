import ControlPlane
import Domain
import StoreConformance
import Testing

@testable import SQLStore

/// Databases that an earlier release made, with rows in them.
@Suite struct MigrationTests {
    /// A database as the schema of `version` has it, filled by `statements`.
    private func database(of version: Int, _ statements: [String]) async throws -> TemporaryStore {
        let place = try TemporaryStore()
        let store = try place.open()
        // Cut back to nothing, and up again only so far.
        try await store.raw("PRAGMA foreign_keys")
        try await store.write("rebuild") { transaction in
            let sql = try #require(transaction as? SQLTransaction).sql
            let tables = try sql.query("SELECT name FROM sqlite_master WHERE type = 'table'")
                .map { try RowReader("table", key: "name", $0).text("name") }
            // What refers to another goes first.
            for table in ["job_step"] + tables.filter({ $0 != "job_step" }) { try sql.execute("DROP TABLE \(table)") }
            _ = try Schema.migrate(sql, now: transaction.now, upTo: version)
            for statement in statements { try sql.execute(statement) }
        }
        store.close()
        return place
    }

    private static func vmRow(
        _ number: Int, _ name: String, _ state: String, placement: String = "NULL, NULL", wait: String = "NULL",
        cause: String = "NULL"
    ) -> String {
        """
        INSERT INTO vm (id, name, image, cpus, memory, state, placement_host, placement_epoch, wait_reason, stop_cause,
            epoch, last_host, pool, domain_seen, observed_session, observed_sequence, operation, wish, revision,
            created_at, updated_at)
        VALUES ('\(Sample.vmID(number))', '\(name)', '\(Sample.imageID(1))', 1, 64, '\(state)', \(placement), \(wait),
            \(cause), 3, '\(Sample.hostID(1))', NULL, 1, NULL, NULL, NULL, 2, 5, 1000, 2000)
        """
    }

    @Test func `VMs of version 1 live on, and what was destroyed then cannot be recovered now`() async throws {
        let placed = "'\(Sample.hostID(1))', 3"
        let place = try await database(
            of: 1,
            [
                Self.vmRow(1, "runs", "running", placement: placed),
                Self.vmRow(2, "rests", "stopped", cause: "'requested'"), Self.vmRow(3, "past", "destroyed"),
                Self.vmRow(4, "past", "destroyed"), Self.vmRow(5, "past", "crashed", cause: "'failed'"),
                Self.vmRow(6, "goes", "destroying", placement: placed, wait: "'host-disconnected'"),
            ])
        defer { place.remove() }
        let store = try place.open()
        func vm(_ number: Int) async throws -> VM {
            try #require(try await store.read { try $0.vm(Sample.vmID(number)) })
        }

        let running = try await vm(1)
        #expect(running.state == .running(Sample.placement(1, epoch: 3)))
        #expect((running.name, running.epoch, running.wish, running.revision) == ("runs", Epoch(3), 2, 5))
        #expect(running.expungeAt == nil)
        #expect(running.latestPlacement == Sample.placement(1, epoch: 3))
        #expect((running.labels, running.rules) == (.none, .none))
        #expect(try await vm(2).state == .stopped(.requested))
        // Their disks went with the destroy, or go with the job that it left: they are due.
        let updated = Timestamp(milliseconds: 2000)
        #expect(try await vm(3).expungeAt == updated)
        #expect(try await vm(3).lastPlacement == Sample.placement(1, epoch: 3))
        #expect(try await vm(6).expungeAt == updated)
        let due = try await store.read { try $0.destroyedVMs(keptUntil: $0.now, limit: 10).map(\.id) }
        #expect(due == [Sample.vmID(3), Sample.vmID(4)])

        // A name is still owned by one living VM, and by no other.
        let owner = try await store.read { try $0.vm(named: "past")?.id }
        #expect(owner == Sample.vmID(5))
        let taken = await #expect(throws: Fault.self) {
            try await store.write("insert") { try $0.insert(Sample.vm(9, name: "past")) }
        }
        #expect(taken?.code == .nameTaken)
        store.close()
    }

    @Test func `a database of every version comes up to the newest`() async throws {
        for version in 1...Schema.newest {
            let place = try await database(of: version, [])
            defer { place.remove() }
            let store = try place.open()
            let versions = try await store.raw("SELECT version FROM schema_version ORDER BY version")
            #expect(versions == Schema.migrations.map { SQLValue($0.version) })
            try await store.write("insert") { try $0.insert(Sample.vm(1, state: .destroyed)) }
            store.close()
        }
    }

    @Test func `leasing a job changes nothing that an index of jobs goes by`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        defer { store.close() }
        let indexes = try await store.raw("SELECT sql FROM sqlite_master WHERE tbl_name = 'job' AND type = 'index'")
            .compactMap { if case .text(let sql) = $0 { sql } else { nil } }
        #expect(indexes.count == 8)
        for column in ["state", "owner", "lease_token", "attempts", "revision", "updated_at"] {
            let named = indexes.filter { $0.split { !$0.isLetter && $0 != "_" }.contains(Substring(column)) }
            #expect(named.isEmpty, "by \(column)")
        }
    }

    @Test func `a second unfinished job under one key has the turn of the first, which the table refuses`() async throws
    {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        defer { store.close() }
        let enqueue = { (number: Int, epoch: Int64) in
            try await store.write("enqueue") { try $0.enqueue(Sample.job(number, vm: 1, epoch: epoch)) }
        }
        let first = try await enqueue(1, 1)
        _ = try await enqueue(2, 2)
        let twin = """
            UPDATE job SET unique_key = (SELECT unique_key FROM job WHERE id = '\(Sample.jobID(1))')
            WHERE id = '\(Sample.jobID(2))'
            """
        let fault = await #expect(throws: Fault.self) { try await store.raw(twin) }
        #expect(fault?.code == .internalError)
        try await store.write("end") { tx in
            var ended = first
            ended.state = .ended(JobEnd(.succeeded, .stopped))
            _ = try tx.replace(ended, atRevision: 1)
        }
        #expect(try await enqueue(3, 1).id == Sample.jobID(3))
        #expect(try await enqueue(4, 1).id == Sample.jobID(3))
        let turns = try await store.raw("SELECT turn FROM job WHERE unique_key = '\(first.uniqueKey)' ORDER BY id")
        #expect(turns == [.integer(0), .integer(1)])
    }
}
