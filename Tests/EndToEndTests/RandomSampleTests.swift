import APIContract
import Testing

/// The oracle of the random operations sees what it is there for.
@Suite struct RandomSampleTests {
    private func vm(_ state: String, revision: Int = 4) -> VMResource {
        VMResource(
            id: "11111111-0000-4000-8000-000000000001", name: "v", state: state, stopCause: nil, host: nil,
            lastHost: "h1",
            epoch: 3, cpus: 1, memory: 64, image: "tiny", operation: nil, waitingFor: nil, conflicts: [],
            revision: revision, createdAt: "", updatedAt: "")
    }

    private func domain(_ state: Int) -> HostSight.Domain {
        HostSight.Domain(name: "v-11111111", state: state)
    }

    @Test func `a guest that runs on two hosts is seen, and one that waits on the second is none`() {
        let twice = RandomSample(before: [], seen: ["h1": [domain(1)], "h2": [domain(1)], "h3": []], after: [])
        #expect(twice.doubles == ["v-11111111": ["h1", "h2"]])
        let arriving = RandomSample(before: [], seen: ["h1": [domain(1)], "h2": [domain(3)]], after: [])
        #expect(arriving.doubles.isEmpty)
    }

    @Test(arguments: ["created", "stopped", "crashed", "destroyed"])
    func `a guest that runs though its record is at rest is seen`(state: String) {
        let seen = ["h1": [], "h2": [domain(1)]]
        let sample = RandomSample(before: [vm(state)], seen: seen, after: [vm(state)])
        #expect(sample.contradictions.count == 1)
        #expect(sample.contradictions.first?.contains("on h2 is v-11111111 in state 1") == true)
    }

    @Test
    func `a record that changed meanwhile, that says nothing of rest, or of a guest that is off, is no contradiction`()
    {
        let seen = ["h1": [domain(1)]]
        #expect(
            RandomSample(before: [vm("stopped", revision: 3)], seen: seen, after: [vm("stopped")]).contradictions
                .isEmpty)
        #expect(RandomSample(before: [vm("running")], seen: seen, after: [vm("running")]).contradictions.isEmpty)
        #expect(RandomSample(before: [vm("unknown")], seen: seen, after: [vm("unknown")]).contradictions.isEmpty)
        #expect(
            RandomSample(before: [vm("stopped")], seen: ["h1": [domain(5)]], after: [vm("stopped")]).contradictions
                .isEmpty)
    }
}
