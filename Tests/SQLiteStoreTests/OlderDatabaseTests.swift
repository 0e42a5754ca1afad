import ControlPlane
import Domain
import Foundation
import StoreConformance
import Testing

@testable import SQLStore

/// Databases as releases with an older schema left them: `Fixtures/version-N.sql` is the dump of one, made by the migrations
/// up to N, with work that was under way. They are never changed.
@Suite struct OlderDatabaseTests {
    private static let versions = 1...6

    /// A file with the fixture in it, not opened since.
    private func older(_ version: Int) async throws -> TemporaryStore {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "Fixtures/version-\(version).sql")
        let dump = try String(contentsOf: file, encoding: .utf8)
        let place = try TemporaryStore()
        let store = try place.open()
        try await store.write("fixture") { transaction in
            let sql = try #require(transaction as? SQLTransaction).sql
            let tables = try sql.query("SELECT name FROM sqlite_master WHERE type = 'table'")
                .map { try RowReader("table", key: "name", $0).text("name") }
            // What refers to another goes first.
            for table in ["job_step"] + tables.filter({ $0 != "job_step" }) { try sql.execute("DROP TABLE \(table)") }
            for statement in dump.split(separator: ";\n") { try sql.execute(String(statement)) }
        }
        store.close()
        return place
    }

    @Test func `each older schema has its fixture`() {
        #expect(Self.versions.upperBound == Schema.newest - 1)
    }

    @Test(arguments: versions)
    func `an older database is migrated, and its jobs are taken up`(version: Int) async throws {
        let place = try await older(version)
        defer { place.remove() }
        let store = try place.open()
        defer { store.close() }
        place.clock.advance(by: .seconds(60))
        let versions = try await store.raw("SELECT version FROM schema_version ORDER BY version")
        #expect(versions == Schema.migrations.map { SQLValue($0.version) })
        #expect(try await store.raw("PRAGMA foreign_key_check").isEmpty)

        // Of one key's jobs the unfinished one comes last, also where it was not the last to be written.
        let turns = try await store.raw(
            "SELECT turn FROM job WHERE kind = 'operation.stop' ORDER BY ended_at IS NULL, id")
        #expect(turns == (version >= 6 ? [.integer(0), .integer(1)] : []))

        // As a server does that starts.
        let claimed = try await store.write("start") { tx in
            try tx.retryParkedOperations()
            #expect(try tx.takeOverStrandedLeases() == 1)
            return try tx.claimDueJobs(owner: "node", limit: 100)
        }
        let expected: [(number: Int, kind: JobKind, since: Int)] = [
            // Operations first.
            (4, .migrateOperation, 2),
            // It was parked, and is tried again.
            (6, .stopOperation, 6),
            // It ran, so that it is due since now.
            (2, .startOperation, 1),
            (1, .stopVM, 1), (3, .destroyVM, 1), (5, .deleteVolume, 4),
        ]
        let here = expected.filter { $0.since <= version }
        #expect(claimed.map(\.id) == here.map { Sample.jobID($0.number) })
        #expect(claimed.map(\.kind) == here.map(\.kind))
        #expect(claimed.allSatisfy { $0.unreadable == nil && $0.state == .running && $0.payload.command != nil })

        let stop = try #require(claimed.first { $0.kind == .stopVM })
        #expect((stop.payload.mode, stop.payload.timeout, stop.payload.isDeferrable) == (.cold, 0, true))
        #expect((stop.attempts, stop.leaseToken, stop.placement) == (4, 4, Sample.placement(1, epoch: 3)))
        #expect(stop.firstError == nil)
        let updated = Timestamp(milliseconds: 1_700_000_000_001)
        #expect(stop.lastError == JobError("The host's agent is not connected.", at: updated))
        if version >= 2 {
            let move = try #require(claimed.first { $0.kind == .migrateOperation })
            #expect(move.payload.destination == Sample.placement(2, epoch: 4))
            #expect(move.payload.migration == MigrationOptions(copiesStorage: true))
            #expect(move.peer == Sample.hostID(2))
        }
    }

    @Test(arguments: versions)
    func `what had ended, and its steps, and the VMs and events are still there`(version: Int) async throws {
        let place = try await older(version)
        defer { place.remove() }
        let store = try place.open()
        defer { store.close() }
        place.clock.advance(by: .seconds(60))
        let ended = try #require(try await store.read { try $0.job(Sample.jobID(9)) })
        #expect(ended.state == .ended(JobEnd(.succeeded, .stopped)))
        #expect(ended.lastError == nil)
        let steps = try await store.read { try $0.steps(of: ended.id) }
        #expect(steps.map(\.name) == ["first", "second"] && steps.map(\.output) == ["out 1", "out 2"])
        let states = try await store.read { tx in
            try (1...3).map { try tx.vm(Sample.vmID($0))?.state.label }
        }
        #expect(states == [.stopping, .starting, .destroying])
        #expect(try await store.read { try $0.events(after: 0, limit: 10).map(\.id) } == [1, 2])

        // The rules of the table hold as in a new one: one unfinished job per key, and steps that go with their job.
        let again = try await store.write("enqueue") { tx in
            let there = try #require(try tx.job(Sample.jobID(1)))
            return try tx.enqueue(
                Job(
                    id: Sample.jobID(77), kind: there.kind, vm: there.vm, host: there.host, epoch: there.epoch,
                    payload: there.payload, wish: 1, nextAttemptAt: tx.now, requestedBy: "admin", createdAt: tx.now,
                    updatedAt: tx.now))
        }
        #expect(again.id == Sample.jobID(1))
        #expect(try await store.write("sweep") { try $0.removeJobs(.succeeded, before: $0.now, limit: 10) } == 1)
        #expect(try await store.read { try $0.steps(of: ended.id) }.isEmpty)
    }
}
