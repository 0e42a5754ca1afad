import StoreConformance
import Testing

@Suite struct ConformanceTests {
    @Test(arguments: Check.all) func `a SQLite file keeps the contract of the store`(check: Check) async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        try await check.run(store, place.clock)
        store.close()
    }

    @Test(arguments: Check.all) func `SQLite in memory keeps the contract of the store`(check: Check) async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        try await check.run(try place.openInMemory(), place.clock)
    }
}
