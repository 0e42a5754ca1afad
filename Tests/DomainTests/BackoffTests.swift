import Domain
import Testing

@Suite struct BackoffTests {
    private let backoff = Backoff(base: .seconds(1), cap: .seconds(60))

    @Test func `the ceiling doubles up to the cap`() {
        let ceilings = (1...9).map { backoff.ceiling(attempts: $0) }
        #expect(ceilings == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { .seconds($0) })
    }

    @Test func `the delay is spread over the whole ceiling and never zero`() {
        #expect(backoff.delay(attempts: 3, unit: 0.5) == .seconds(2))
        #expect(backoff.delay(attempts: 3, unit: 0) > .zero)
        #expect(backoff.delay(attempts: 1_000_000, unit: 1) == .seconds(60))
    }
}

@Suite struct IdentifierTests {
    @Test(arguments: [
        "", "x", "AAAAAAAA-0000-4000-8000-000000000001", "aaaaaaaa00004000800000000000000001",
        "aaaaaaaa-0000-4000-8000-00000000000g", "aaaaaaaa-0000-4000-8000-0000000000011",
    ])
    func `what is no canonical UUID is no id`(text: String) {
        #expect(VMID(text) == nil)
    }

    @Test func `a canonical UUID is an id`() {
        #expect(VMID("aaaaaaaa-0000-4000-8000-000000000001")?.rawValue == "aaaaaaaa-0000-4000-8000-000000000001")
    }
}
