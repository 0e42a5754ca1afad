import ControlPlane
import Domain
import PostgresBench
import StoreConformance
import Testing

@testable import SQLStore

@Suite struct OpeningTests {
    private func open(_ url: String) throws -> PostgresDatabase {
        try PostgresDatabase(
            url: url, faults: NoFaultPoints(), logger: quietLogger, onCommit: { _, _ in }, onNotice: { _ in })
    }

    @Test func `a server that is not there is a clear fault`() throws {
        let fault = #expect(throws: Fault.self) { try open("postgres:///roost?host=/nowhere&user=roost") }
        #expect(fault?.code == .storeUnavailable)
        #expect(fault?.message.hasPrefix("The database cannot be opened: ") == true)
        #expect(fault?.message.contains("/nowhere") == true)
        #expect(fault?.hint?.contains("--database") == true)
    }

    @Test func `a database that is not there is a clear fault`() throws {
        let url = try PostgresServer.shared.get().url(of: "absent")
        let fault = #expect(throws: Fault.self) { try open(url) }
        #expect(fault?.message.contains("database \"absent\" does not exist") == true)
    }

    @Test func `a user whom the server does not know is a clear fault`() throws {
        let url = try PostgresServer.shared.get().url(of: "postgres").replacing("user=roost", with: "user=nobody")
        let fault = #expect(throws: Fault.self) { try open(url) }
        #expect(fault?.message.contains("role \"nobody\" does not exist") == true)
    }

    @Test func `a database from a newer release is refused and left as it is`() throws {
        let place = try TemporaryDatabase()
        try place.open().close()
        try place.server.run(
            "INSERT INTO schema_version (version, name, applied_at) VALUES (99, 'later', 0)", on: place.url)
        let fault = #expect(throws: Fault.self) { try place.open() }
        #expect(fault?.message.contains("newer release") == true)
        try place.remove()
    }

    @Test func `a database that a newer release has changed is worked on if that release says so`() async throws {
        let place = try TemporaryDatabase()
        try place.open().close()
        for statement in [
            "INSERT INTO schema_version (version, name, applied_at) VALUES (99, 'later', 0)",
            "INSERT INTO schema_reader (version, oldest) VALUES (99, \(Schema.newest))",
            "ALTER TABLE vm ADD COLUMN later TEXT NOT NULL DEFAULT 'x'",
        ] { try place.server.run(statement, on: place.url) }
        let store = try place.open()
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == Sample.vm(1))
        store.close()
        try place.remove()
    }

    @Test func `many nodes that start at once on an empty database make its schema once`() async throws {
        let place = try TemporaryDatabase()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 1...6 { group.addTask { try place.open().close() } }
            try await group.waitForAll()
        }
        let versions = try place.server.run("SELECT version FROM schema_version ORDER BY version", on: place.url)
        #expect(versions == Schema.migrations.map { String($0.version) })
        try place.remove()
    }

    @Test func `without a clock of its own rows carry the database's time`() async throws {
        let place = try TemporaryDatabase()
        let store = try open(place.url)
        let before = try place.server.run(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", on: place.url)
        let now = try await store.write("look") { $0.now.milliseconds }
        let read = try await store.read { $0.now.milliseconds }
        #expect(try #require(before.first.flatMap { Int64($0) }) <= now)
        #expect(now <= read)
        store.close()
        try place.remove()
    }

    @Test func `texts are compared by their bytes, whatever the database's locale`() async throws {
        let place = try TemporaryDatabase()
        let collations = try place.server.run(
            """
            SELECT DISTINCT collation_name FROM information_schema.columns
            WHERE table_name IN ('vm', 'host', 'job', 'image') AND data_type = 'text'
            """, on: place.url)
        #expect(collations.isEmpty)
        try place.open().close()
        let made = try place.server.run(
            """
            SELECT DISTINCT collation_name FROM information_schema.columns
            WHERE table_name IN ('vm', 'host', 'job', 'image') AND data_type = 'text'
            """, on: place.url)
        #expect(made == ["C"])
        try place.remove()
    }

    @Test func `a text that PostgreSQL cannot hold is refused, and harms nothing else`() async throws {
        let place = try TemporaryDatabase()
        let store = try place.open()
        let fault = await #expect(throws: Fault.self) {
            try await store.write("insert") { try $0.append(Event(kind: "vm.created", message: "a\0b")) }
        }
        #expect(fault?.kind == .invalid)
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        store.close()
        try place.remove()
    }
}
