import Domain
import HostAgent
import Testing

@Suite struct StartTests {
    private let host = FakeHost()

    @Test func `a start runs once, and a repeat gives the remembered end`() async throws {
        let agent = host.agent()
        let outcome = try await agent.execute(start(), id: first)
        #expect(outcome.effect == .started)
        // Even if the guest has ended since: the command is over.
        host.hide()
        let repeated = try await agent.execute(start(), id: first)
        #expect(repeated == outcome)
        let afterRestart = try await host.agent().execute(start(), id: first)
        #expect(afterRestart == outcome)
        #expect(host.with { $0.started.count } == 1)
    }

    @Test func `repeats that come together wait for the one run`() async throws {
        host.gates.close("agent-start.before-libvirt")
        let agent = host.agent()
        let host = host
        let outcomes = try await withThrowingTaskGroup(of: CommandOutcome.self) { group in
            for _ in 1...8 { group.addTask { try await agent.execute(start(), id: first) } }
            let isHeld = await eventually { host.gates.held("agent-start.before-libvirt") == 1 }
            #expect(isHeld)
            let settlement = await agent.settle(first)
            #expect(settlement == .underWay)
            host.gates.open("agent-start.before-libvirt")
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.count == 8)
        #expect(Set(outcomes).count == 1)
        #expect(outcomes.first?.effect == .started)
        #expect(host.with { $0.started.count } == 1)
        #expect(host.with { $0.begun } == [first])
    }

    @Test func `a start below the highest epoch seen is refused`() async throws {
        host.mark(EpochMark(highest: now.next, closed: .none))
        let outcome = try await host.agent().execute(start(), id: first)
        #expect(outcome.rejection == .staleEpoch)
        #expect(!host.isLive())
    }

    @Test func `an epoch seen in an inventory refuses an older start`() async throws {
        let agent = host.agent()
        host.show(now.next)
        _ = await agent.collectInventory()
        host.hide()
        let outcome = try await agent.execute(start(), id: first)
        #expect(outcome.rejection == .staleEpoch)
        let newer = try await agent.execute(start(now.next.next), id: second)
        #expect(newer.effect == .started)
    }

    @Test func `a late copy of a start whose end is forgotten does not bring the guest up again`() async throws {
        let agent = host.agent()
        _ = try await agent.execute(start(), id: first)
        await agent.acknowledge(first)
        host.hide()
        let copy = try await agent.execute(start(), id: first)
        #expect(copy.rejection == .staleEpoch)
        #expect(host.with { $0.started.count } == 1)
    }

    @Test func `a start at or below a closed epoch is refused`() async throws {
        for closed in [now, now.next] {
            host.mark(EpochMark(highest: .none, closed: closed))
            let outcome = try await host.agent().execute(start(), id: first)
            #expect(outcome.rejection == .staleEpoch)
        }
        #expect(!host.isLive())
    }

    @Test func `a start that libvirt refuses fails and closes its epoch`() async throws {
        host.with { $0.starts = [.fails("no such machine type")] }
        let agent = host.agent()
        let outcome = try await agent.execute(start(), id: first)
        #expect(outcome.failure?.message.contains("no such machine type") == true)
        #expect(host.mark().closed == now)
        #expect(host.with { $0.released } == [someVM])
        let copy = try await agent.execute(start(), id: second)
        #expect(copy.rejection == .staleEpoch)
    }

    @Test func `a start whose image cannot be fetched fails without asking libvirt`() async throws {
        host.with { $0.prepareFault = Fault(.unavailable, .imageNotReady, "The image is not there.") }
        let outcome = try await host.agent().execute(start(), id: first)
        #expect(outcome.failure?.code == .imageNotReady)
        #expect(host.mark().closed == now)
        #expect(host.with { $0.started.isEmpty })
    }

    @Test func `a start is rejected while libvirt is silent, and a copy of it never runs`() async throws {
        host.with { $0.isReachable = false }
        let agent = host.agent()
        let outcome = try await agent.execute(start(), id: first)
        #expect(outcome.rejection == .libvirtUnavailable)
        // The server takes the rejection for the end of the start, and may start the VM elsewhere.
        host.with { $0.isReachable = true }
        let copy = try await agent.execute(start(), id: first)
        // Not that libvirt is silent: the server would wait for libvirt, and send it again, for good.
        #expect(copy.rejection == .superseded)
        #expect(!host.isLive())
    }

    @Test(arguments: [Duration.zero, .milliseconds(300), .seconds(2), .seconds(20)])
    func `a start that takes effect after libvirt fell silent is one start`(delay: Duration) async throws {
        host.with { $0.starts = [.isSilentAndWorks(after: delay)] }
        host.silence(for: .seconds(3))
        host.with { $0.isReachable = true }
        let outcome = try await host.agent().execute(start(), id: first)
        #expect(outcome.effect == .started)
        host.time.advance(by: .seconds(60))
        #expect(host.epoch() == now)
        #expect(host.with { $0.started.count } == 1)
    }

    @Test func `a start that libvirt lost is asked for again once libvirt answers`() async throws {
        host.with { $0.starts = [.isSilent, .isSilent] }
        let outcome = try await host.agent().execute(start(), id: first)
        #expect(outcome.effect == .started)
        #expect(host.with { $0.started.count } == 1)
    }

    @Test func `a resumed start waits for a silent libvirt rather than deny the domain that it made`() async throws {
        _ = try? await host.agent(AgentLife(.deathIn("libvirt.start", .after))).execute(start(), id: first)
        #expect(host.isLive())
        host.silence(for: .seconds(30))
        let outcome = try await host.agent().execute(start(), id: first)
        #expect(outcome.effect == .started)
        #expect(host.with { $0.started.count } == 1)
    }

    @Test
    func `a start that libvirt broke off in the middle is not called started, and ends once libvirt has ended it`()
        async throws
    {
        let host = host
        host.with { $0.starts = [.isSilent] }
        host.time.plan(after: .milliseconds(100)) {
            host.with { $0.domains[someVM] = FakeHost.Domain(epoch: now, state: .starting) }
        }
        let agent = host.agent()
        let outcome = try await agent.execute(start(), id: first)
        #expect(outcome.rejection == .outcomeUnknown)
        #expect(host.time.monotonic() > .seconds(10))
        // Nor by an agent that finds it after a restart.
        let restarted = host.agent()
        #expect(try await restarted.execute(start(), id: first).rejection == .outcomeUnknown)
        host.with { $0.domains[someVM]?.state = .running }
        #expect(try await restarted.execute(start(), id: first).effect == .started)
        #expect(host.with { $0.started.isEmpty })
    }

    @Test func `a stop gets past a start that libvirt broke off`() async throws {
        let host = host
        host.with { $0.domains[someVM] = FakeHost.Domain(epoch: now, state: .starting) }
        let agent = host.agent()
        host.gates.close("libvirt.domain")
        async let starting = agent.execute(start(), id: first)
        let isHeld = await eventually { host.gates.held("libvirt.domain") == 1 }
        #expect(isHeld)
        host.gates.close("agent-stop.received")
        async let stopping = agent.execute(stop(.cold), id: second)
        let isThere = await eventually { host.gates.held("agent-stop.received") == 1 }
        #expect(isThere)
        host.gates.open("libvirt.domain")
        let unsettled = try await starting
        #expect(unsettled.rejection == .outcomeUnknown)
        host.gates.open("agent-stop.received")
        let stopped = try await stopping
        #expect(stopped.effect == .stopped)
        #expect(host.time.monotonic() < .seconds(10))
    }

    @Test func `a start waits while the epoch of what it made cannot be read`() async throws {
        host.with { $0.starts = [.isSilentAndWorks(after: .zero)] }
        host.gates.close("agent-start.before-libvirt")
        let (host, agent) = (host, host.agent())
        async let running = agent.execute(start(), id: first)
        let isHeld = await eventually { host.gates.held("agent-start.before-libvirt") == 1 }
        #expect(isHeld)
        host.show(nil)
        host.time.plan(after: .seconds(5)) { host.show(now) }
        host.gates.open("agent-start.before-libvirt")
        let outcome = try await running
        #expect(outcome.effect == .started)
        #expect(host.mark().closed == .none)
    }

    @Test func `a domain that ended by itself is not started again by a late copy`() async throws {
        let agent = host.agent()
        let (host, watching) = (host, Task { await agent.run() })
        defer { watching.cancel() }
        let isWatched = await eventually { host.with { $0.events != nil } }
        #expect(isWatched)
        _ = try await agent.execute(start(), id: first)
        await agent.acknowledge(first)
        #expect(host.entry(first) == nil)
        host.hide()
        host.tell(.changed(someVM, now, .gone(.guestShutdown)))
        let isClosed = await eventually { host.mark().closed == now }
        #expect(isClosed)
        let copy = try await agent.execute(start(), id: first)
        #expect(copy.rejection == .staleEpoch)
        #expect(!host.isLive())
    }
}
