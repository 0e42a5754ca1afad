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
}
