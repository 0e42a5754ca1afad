import Domain
import HostAgent
import Testing

@Suite struct DestroyTests {
    private let host = FakeHost()

    @Test(arguments: [true, false], [true, false])
    func `a destroy ends the domain, if there is one, and removes what it was told to`(
        isLive: Bool, removesDisk: Bool
    ) async throws {
        if isLive { host.show(now) }
        let outcome = try await host.agent().execute(destroy(removesDisk: removesDisk), id: first)
        #expect(outcome.effect == .destroyed)
        #expect(!host.isLive())
        #expect(host.with { $0.removed } == (removesDisk ? [someVM] : []))
        #expect(host.with { $0.released } == (removesDisk ? [] : [someVM]))
        let late = try await host.agent().execute(start(), id: second)
        #expect(late.rejection == .staleEpoch)
    }

    @Test func `a destroy kills a QEMU that libvirt cannot end`() async throws {
        host.show(now)
        host.with { $0.cuts = [.fails("busy")] }
        let outcome = try await host.agent().execute(destroy(), id: first)
        #expect(outcome.effect == .destroyed)
        #expect(host.with { $0.killed } == [someVM])
    }

    @Test func `R16: a late clean-up does not remove the disk of a newer epoch, running or not`() async throws {
        let agent = host.agent()
        _ = try await agent.execute(start(now.next), id: first)
        let whileRunning = try await agent.execute(destroy(), id: second)
        #expect(whileRunning.rejection == .staleEpoch)
        _ = try await agent.execute(stop(.cold, now.next), id: commandID(3))
        let whileStopped = try await agent.execute(destroy(), id: commandID(4))
        #expect(whileStopped.rejection == .staleEpoch)
        #expect(host.with { $0.removed.isEmpty })
    }

    @Test func `a clean-up that leaves the disk alone ends its own domain, whatever this host has seen since`()
        async throws
    {
        host.show(now)
        host.mark(EpochMark(highest: now.next, closed: .none))
        let removal = try await host.agent().execute(destroy(), id: first)
        #expect(removal.rejection == .staleEpoch)
        #expect(host.isLive())
        let outcome = try await host.agent().execute(destroy(removesDisk: false), id: second)
        #expect(outcome.effect == .destroyed)
        #expect(!host.isLive())
        #expect(host.with { $0.removed.isEmpty })
    }

    @Test func `a disk stays when its domain stays`() async throws {
        host.show(now)
        host.with {
            $0.cuts = [.fails("busy")]
            $0.kills = [.fails("no")]
        }
        let outcome = try await host.agent().execute(destroy(), id: first)
        #expect(outcome.failure != nil)
        #expect(host.with { $0.removed.isEmpty && $0.released.isEmpty })
    }
}
