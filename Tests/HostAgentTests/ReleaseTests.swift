import Domain
import HostAgent
import Testing

@Suite struct ReleaseTests {
    private let host = FakeHost()

    private func release(_ epoch: Epoch) -> HostCommand { .release(ReleaseVMCommand(vm: someVM, epoch: epoch)) }

    @Test func `what a placement left goes, and no late start of it comes up`() async throws {
        let agent = host.agent()
        #expect(try await agent.execute(release(now), id: first).effect == .released)
        #expect(host.with { $0.logsRemoved } == [someVM])
        #expect(host.with { $0.removed }.isEmpty)
        #expect(try await agent.execute(start(now), id: second).rejection == .staleEpoch)
    }

    @Test func `a release touches no domain, and nothing that one writes to`() async throws {
        host.show(now)
        #expect(try await host.agent().execute(release(now), id: commandID(1)).rejection == .placementUnresolved)
        host.show(now.next)
        #expect(try await host.agent().execute(release(now), id: commandID(2)).rejection == .staleEpoch)
        host.show(nil)
        #expect(try await host.agent().execute(release(now), id: commandID(3)).rejection == .epochConflict)
        #expect(host.isLive())
        #expect(host.with { $0.logsRemoved }.isEmpty)
    }

    @Test func `a late release leaves what a later placement on the host uses, running or not`() async throws {
        let agent = host.agent()
        _ = try await agent.execute(start(now.next), id: commandID(1))
        _ = try await agent.execute(stop(.cold, now.next), id: commandID(2))
        #expect(try await agent.execute(release(now), id: commandID(3)).rejection == .staleEpoch)
        #expect(host.with { $0.logsRemoved }.isEmpty)
    }

    @Test func `libvirt's silence is no absence`() async throws {
        host.with { $0.isReachable = false }
        #expect(try await host.agent().execute(release(now), id: first).rejection == .libvirtUnavailable)
        #expect(host.with { $0.logsRemoved }.isEmpty)
    }
}
