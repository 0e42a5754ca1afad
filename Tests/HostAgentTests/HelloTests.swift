import Domain
import HostAgent
import Testing

@Suite struct HelloTests {
    private let host = FakeHost()

    @Test func `a hello says what the host is, with its whole inventory`() async {
        host.show(now)
        let hello = await host.agent().hello()
        #expect(hello.facts.cpus == 4)
        #expect(hello.facts.memory == 4096)
        #expect(hello.facts.agentVersion == "1.0")
        #expect(hello.facts.hypervisor.domainType == "qemu")
        #expect(hello.inventory.domains == [ObservedDomain(vm: someVM, epoch: now, state: .running)])
    }

    @Test func `a hello says how far the server's records had come, and the highest epoch`() async throws {
        let agent = host.agent()
        #expect(await agent.hello().heard == .none)
        host.with { $0.marks[someVM] = EpochMark(highest: Epoch(4), closed: Epoch(6)) }
        await agent.hear(RecordPoint(generation: 0, event: 9))
        await agent.hear(RecordPoint(generation: 0, event: 3))
        let hello = await agent.hello()
        #expect(hello.heard == RecordPoint(generation: 0, event: 9))
        #expect(hello.highestEpoch == Epoch(6))
        #expect(await host.agent().hello().heard == hello.heard)
    }

    @Test func `a hello before libvirt ever answered says so, and does not wait`() async {
        host.with { $0.isReachable = false }
        let hello = await host.agent().hello()
        #expect(hello.facts.cpus == 0)
        #expect(hello.facts.hypervisor.domainType == "unknown")
        #expect(hello.facts.hypervisor.reason == "libvirt has not answered yet.")
        #expect(!hello.inventory.libvirtAnswered)
    }

    @Test func `a libvirt that is silent now does not make the host unknown`() async {
        let agent = host.agent()
        _ = await agent.hello()
        host.with { $0.isReachable = false }
        let hello = await agent.hello()
        #expect(hello.facts.cpus == 4)
        #expect(!hello.inventory.libvirtAnswered)
    }

    /// Lets an agent say hello to a server while libvirt is silent, and then watch it.
    private func helloInSilence(
        _ body: (Agent, inout AsyncStream<AgentReport>.Iterator) async throws -> Void
    ) async throws {
        let (host, agent) = (host, host.agent())
        host.with { $0.isReachable = false }
        var reports = agent.reports().makeAsyncIterator()
        let hello = await agent.hello()
        #expect(hello.facts.cpus == 0)
        let watch = Task { await agent.run() }
        let isWatched = await eventually { host.with { $0.events != nil } && host.time.sleepers == 1 }
        #expect(isWatched)
        try await body(agent, &reports)
        watch.cancel()
        await watch.value
    }

    @Test func `another hello is due once libvirt tells what the host is`() async throws {
        try await helloInSilence { agent, reports in
            host.with { $0.isReachable = true }
            host.tell(.connected)
            guard case .inventory? = await reports.next() else {
                Issue.record("no inventory")
                return
            }
            let due = await reports.next()
            #expect(due == .helloDue)
            let hello = await agent.hello()
            #expect(hello.facts.cpus == 4)
            // Said once: the next thing is the next inventory's.
            host.tell(.connected)
            host.tell(.disconnected("end of file"))
            guard case .inventory? = await reports.next(), case .lostSight? = await reports.next() else {
                Issue.record("another hello was asked for")
                return
            }
        }
    }

    @Test func `a libvirt that tells what the host is later than it connects is asked again`() async throws {
        let host = host
        try await helloInSilence { _, reports in
            host.with {
                $0.isReachable = true
                $0.factsKnown = false
            }
            host.tell(.connected)
            guard case .inventory? = await reports.next() else {
                Issue.record("no inventory")
                return
            }
            let isAsked = await eventually { host.with { $0.factsAsked } == 1 }
            #expect(isAsked)
            host.with { $0.factsKnown = true }
            host.time.advance(by: .seconds(60))
            guard case .inventory? = await reports.next() else {
                Issue.record("no second inventory")
                return
            }
            let due = await reports.next()
            #expect(due == .helloDue)
        }
    }

    @Test func `no other hello is due after one that said what the host is`() async throws {
        let (host, agent) = (host, host.agent())
        var reports = agent.reports().makeAsyncIterator()
        _ = await agent.hello()
        let watch = Task { await agent.run() }
        defer { watch.cancel() }
        let isWatched = await eventually { host.with { $0.events != nil } }
        #expect(isWatched)
        host.tell(.connected)
        host.tell(.connected)
        for _ in 1...2 {
            guard case .inventory? = await reports.next() else {
                Issue.record("another hello was asked for")
                return
            }
        }
    }
}
