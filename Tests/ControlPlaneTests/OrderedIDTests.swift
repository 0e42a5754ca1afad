import Domain
import Platform
import Testing

@Suite struct OrderedIDTests {
    @Test func `ordered ids are canonical, differ, and rise with the time`() async throws {
        let ids = SystemIDs()
        let early = (0..<1000).map { _ in ids.orderedUUID() }
        // The time that the ids are of is passed by the clock itself.
        let latest = try #require(early.max())
        let later = try await eventually("a later id") { () -> String? in
            let id = ids.orderedUUID()
            return id.prefix(13) > latest.prefix(13) ? id : nil
        }
        #expect(Set(early).count == 1000)
        #expect((early + [later]).allSatisfy { isCanonicalUUID($0) })
        #expect(early.allSatisfy { $0 < later })
        #expect(JobID(from: ids).rawValue > latest)
    }
}
