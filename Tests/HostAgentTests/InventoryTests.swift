import Domain
import HostAgent
import Testing

@Suite struct InventoryTests {
    private let host = FakeHost()

    @Test func `an inventory lists what libvirt shows`() async {
        host.show(now)
        host.show(nil, of: otherVM)
        let inventory = await host.agent().collectInventory()
        #expect(inventory.libvirtAnswered)
        #expect(inventory.bootID == "boot")
        #expect(inventory.busy.isEmpty)
        #expect(
            inventory.domains == [
                ObservedDomain(vm: someVM, epoch: now, state: .running),
                ObservedDomain(vm: otherVM, epoch: nil, state: .running),
            ])
    }

    @Test func `a silent libvirt is said to be silent, which is not an empty list`() async {
        host.show(now)
        host.with { $0.isReachable = false }
        let inventory = await host.agent().collectInventory()
        #expect(!inventory.libvirtAnswered)
        #expect(inventory.domains.isEmpty)
    }

    @Test func `an inventory whose epochs cannot be kept says nothing`() async {
        host.show(now)
        let inventory = await host.agent(AgentLife(.failure(1))).collectInventory()
        #expect(!inventory.libvirtAnswered)
    }

    @Test(arguments: ["agent-start.received", "agent-start.before-libvirt", "agent-start.before-record"])
    func `a VM with a command under way is busy`(point: String) async throws {
        host.gates.close(point)
        let (host, agent) = (host, host.agent())
        async let running = agent.execute(start(), id: first)
        let isHeld = await eventually { host.gates.held(point) == 1 }
        #expect(isHeld)
        let inventory = await agent.collectInventory()
        #expect(inventory.busy == [someVM])
        host.gates.open(point)
        _ = try await running
        let after = await agent.collectInventory()
        #expect(after.busy.isEmpty)
    }

    @Test(arguments: ["libvirt.before-domains", "libvirt.after-domains"])
    func `a VM whose whole command falls into the look is busy in it`(point: String) async throws {
        host.gates.close(point)
        let (host, agent) = (host, host.agent())
        async let looking = agent.collectInventory()
        let isHeld = await eventually { host.gates.held(point) == 1 }
        #expect(isHeld)
        let outcome = try await agent.execute(start(), id: first)
        host.gates.open(point)
        let inventory = await looking
        // Without this its absence, seen before the start, would be news after it.
        #expect(inventory.busy == [someVM])
        guard case .done(let result) = outcome else {
            Issue.record("\(outcome.text)")
            return
        }
        #expect(inventory.sequence < result.sequence)
    }

    @Test func `an inventory's number is older than what happens while libvirt lists its domains`() async {
        host.gates.close("libvirt.after-domains")
        let (host, agent) = (host, host.agent())
        async let looking = agent.collectInventory()
        let isHeld = await eventually { host.gates.held("libvirt.after-domains") == 1 }
        #expect(isHeld)
        let watching = Task { await agent.run() }
        defer { watching.cancel() }
        var reports = agent.reports().makeAsyncIterator()
        let isWatched = await eventually { host.with { $0.events != nil } }
        #expect(isWatched)
        host.tell(.changed(someVM, now, .gone(.guestShutdown)))
        guard case .domainChanged(_, _, _, let sequence)? = await reports.next() else {
            Issue.record("no report of the change")
            return
        }
        host.gates.open("libvirt.after-domains")
        let inventory = await looking
        #expect(inventory.sequence < sequence)
    }

    @Test func `what a start's domain does is newer than the start's own result`() async throws {
        let (host, agent) = (host, host.agent())
        host.gates.close("agent-start.after-libvirt")
        let watching = Task { await agent.run() }
        defer { watching.cancel() }
        var reports = agent.reports().makeAsyncIterator()
        let isWatched = await eventually { host.with { $0.events != nil } }
        #expect(isWatched)
        async let starting = agent.execute(start(), id: first)
        let isHeld = await eventually { host.gates.held("agent-start.after-libvirt") == 1 }
        #expect(isHeld)
        host.hide()
        host.tell(.changed(someVM, now, .gone(.failed)))
        guard case .domainChanged(_, _, _, let sequence)? = await reports.next() else {
            Issue.record("no report of the change")
            return
        }
        host.gates.open("agent-start.after-libvirt")
        guard case .done(let result) = try await starting else {
            Issue.record("the start did not end well")
            return
        }
        #expect(result.sequence < sequence)
    }
}
