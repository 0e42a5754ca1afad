import Domain
import HostAgent
import Testing

@Suite struct SettleTests {
    private let host = FakeHost()

    private func begin(_ kind: BegunCommand.Kind, _ id: CommandID = first) {
        host.with { $0.journal[id] = .begun(BegunCommand(kind: kind, vm: someVM, epoch: now)) }
    }

    @Test(arguments: [start(), stop(), stop(ignoreNotFound: true), destroy()])
    func `a command that was settled as never received is refused when it comes`(command: HostCommand) async throws {
        if case .start = command {} else { host.show(now) }
        let before = host.isLive()
        let agent = host.agent()
        for _ in 1...2 {
            let settlement = await agent.settle(first)
            #expect(settlement == .neverReceived)
        }
        let outcome = try await agent.execute(command, id: first)
        #expect(outcome.rejection == .superseded)
        let afterRestart = try await host.agent().execute(command, id: first)
        #expect(afterRestart.rejection == .superseded)
        #expect(host.isLive() == before)
        #expect(host.with { $0.released.isEmpty && $0.removed.isEmpty })
    }

    @Test func `a command that ended is told as it ended, also after a restart`() async throws {
        let outcome = try await host.agent().execute(start(), id: first)
        let settlement = await host.agent().settle(first)
        #expect(settlement == .ended(outcome))
    }

    @Test(arguments: [BegunCommand.Kind.start, .stop, .destroy], [now, now.next, nil])
    func `a command that an agent died in is settled by what libvirt shows`(
        kind: BegunCommand.Kind, found: Epoch?
    ) async {
        begin(kind)
        host.show(found)
        let settlement = await host.agent().settle(first)
        switch (found, kind) {
        case (nil, _): #expect(settlement == .underWay)
        case (now, .start): #expect(settlement.outcome?.effect == .started)
        case (now, _): #expect(settlement.outcome?.failure != nil)
        default: #expect(settlement.outcome?.rejection == .staleEpoch)
        }
        #expect(host.with { $0.released.isEmpty && $0.removed.isEmpty && $0.cut.isEmpty })
        if let outcome = settlement.outcome { #expect(host.entry(first) == .ended(outcome)) }
    }

    @Test func `a stop that an agent died in has ended when the domain is gone, and is cleaned up`() async {
        begin(.stop)
        let settlement = await host.agent().settle(first)
        #expect(settlement.outcome?.effect == .stopped)
        #expect(host.with { $0.released } == [someVM])
    }

    @Test(arguments: [BegunCommand.Kind.start, .destroy])
    func `what only a repeat can find out stays under way`(kind: BegunCommand.Kind) async throws {
        begin(kind)
        let agent = host.agent()
        let settlement = await agent.settle(first)
        #expect(settlement == .underWay)
        let outcome = try await agent.execute(kind == .start ? start() : destroy(), id: first)
        #expect(outcome.effect == (kind == .start ? .started : .destroyed))
    }

    @Test(arguments: [BegunCommand.Kind.start, .stop, .destroy])
    func `nothing is settled by a silent libvirt`(kind: BegunCommand.Kind) async {
        begin(kind)
        host.with { $0.isReachable = false }
        let settlement = await host.agent().settle(first)
        #expect(settlement == .underWay)
        guard case .begun? = host.entry(first) else {
            Issue.record("the journal was changed")
            return
        }
    }

    @Test func `nothing is settled while the command runs, or while another of its VM does`() async throws {
        host.show(now)
        begin(.stop, second)
        host.gates.close("agent-stop.before-libvirt")
        let (host, agent) = (host, host.agent())
        async let running = agent.execute(stop(), id: first)
        let isHeld = await eventually { host.gates.held("agent-stop.before-libvirt") == 1 }
        #expect(isHeld)
        let own = await agent.settle(first)
        #expect(own == .underWay)
        async let other = agent.settle(second)
        host.gates.open("agent-stop.before-libvirt")
        _ = try await running
        let settled = await other
        #expect(settled.outcome?.effect == .stopped)
    }

    @Test func `a command that comes while it is being settled keeps to what was said`() async throws {
        begin(.stop)
        host.show(now)
        host.gates.close("libvirt.domain")
        let (host, agent) = (host, host.agent())
        async let settling = agent.settle(first)
        let isHeld = await eventually { host.gates.held("libvirt.domain") == 1 }
        #expect(isHeld)
        async let copy = agent.execute(stop(), id: first)
        let again = await agent.settle(first)
        #expect(again == .underWay)
        host.gates.open("libvirt.domain")
        let settlement = await settling
        let outcome = try await copy
        #expect(settlement == .ended(outcome))
        #expect(host.isLive())
    }

    @Test func `an unreadable journal settles nothing`() async {
        let settlement = await host.agent(AgentLife(.failure(0))).settle(first)
        #expect(settlement == .underWay)
    }

    @Test func `a start that the journal cannot tell of is not denied while its domain runs`() async throws {
        host.show(now)
        let outcome = try await host.agent(AgentLife(.failure(1))).execute(start(), id: first)
        #expect(outcome.effect == .started)
        host.hide()
        let without = try await host.agent(AgentLife(.failure(1))).execute(start(), id: second)
        #expect(without.rejection == .internalError)
        // A disk can be mended, so that the server has to try again.
        if case .rejected(let fault) = without { #expect(fault.kind == .unavailable && !fault.isPermanent) }
        #expect(!host.isLive())
    }

    @Test func `an end is forgotten when the server has it`() async {
        let agent = host.agent()
        _ = try? await agent.execute(start(), id: first)
        await agent.acknowledge(first)
        #expect(host.entry(first) == nil)
    }
}

extension AgentSettlement {
    fileprivate var outcome: CommandOutcome? {
        if case .ended(let outcome) = self { outcome } else { nil }
    }
}
