import PostgresBench
import StoreConformance
import Testing

@Suite struct PostgresConformanceTests {
    @Test(arguments: Check.all) func `PostgreSQL keeps the contract of the store`(check: Check) async throws {
        let place = try TemporaryDatabase()
        let store = try place.open()
        try await check.run(store, place.clock)
        store.close()
        try place.remove()
    }
}
