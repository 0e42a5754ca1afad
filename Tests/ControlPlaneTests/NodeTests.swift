import ControlPlane
import Domain
import Synchronization
import Testing

@Suite struct NodeTests {
    private let caller = Rig.operatorCaller

    private func node(_ id: String, beat: Int64) -> Node {
        Node(
            id: id, place: id, name: id, version: "", beat: beat, startedAt: Timestamp(milliseconds: 0),
            seenAt: Timestamp(milliseconds: 0))
    }

    @Test func `a beat that stands still for the lease is silence, on the watcher's own clock`() {
        var watch = NodeWatch()
        watch.look(at: [node("a", beat: 1), node("b", beat: 1)], now: .seconds(100))
        #expect(watch.silent(for: .seconds(10), now: .seconds(109)).isEmpty)
        watch.look(at: [node("a", beat: 1), node("b", beat: 2)], now: .seconds(109))
        let silent = watch.silent(for: .seconds(10), now: .seconds(110))
        #expect(silent.map(\.id) == ["a"])
        #expect(silent.map(\.beat) == [1])
    }

    @Test func `what was seen before a gap, or of a node that is gone, counts for nothing`() {
        var watch = NodeWatch()
        watch.look(at: [node("a", beat: 1), node("b", beat: 1)], now: .zero)
        watch.look(at: [node("a", beat: 1)], now: .seconds(5))
        #expect(watch.silent(for: .seconds(10), now: .seconds(20)).map(\.id) == ["a"])
        watch.forget()
        #expect(watch.silent(for: .seconds(10), now: .seconds(20)).isEmpty)
        watch.look(at: [node("a", beat: 1)], now: .seconds(20))
        #expect(watch.silent(for: .seconds(10), now: .seconds(29)).isEmpty)
    }

    /// A rig whose context is that of `id`, on the same records.
    private func service(
        _ rig: Rig, _ name: String, lease: Duration = .milliseconds(300), on database: (any Database)? = nil,
        isAlone: Bool = false
    ) -> (NodeService, Context) {
        let old = rig.context
        let context = Context(
            database: database ?? old.database, sessions: old.sessions, time: old.time, ids: old.ids,
            random: old.random,
            faults: old.faults, feed: old.feed, settings: old.settings, logger: old.logger,
            node: NodeIdentity(name: name, place: name, version: "test", ids: old.ids))
        return (NodeService(context, lease: lease, isAlone: isAlone), context)
    }

    @Test func `a node that dies loses its sessions and leases to the others within the lease`() async throws {
        let rig = try await Rig()
        let (dead, deadContext) = service(rig, "dead")
        let (alive, _) = service(rig, "alive")
        try await dead.join()
        try await alive.join()
        try await connect(rig, as: deadContext)
        let vm = try await stoppingVM(rig)
        let claimed = try await rig.database.write("claim") {
            try $0.leaseDueJobs(owner: deadContext.node.id, limit: 10).read()
        }
        #expect(claimed.count == 1)
        let watching = Task { await alive.run() }
        defer { watching.cancel() }
        let host = try await eventually("the host is free") { () -> Host? in
            let host = try await rig.database.read { try $0.host(rigHostA) }
            return host?.connection == .disconnected ? host : nil
        }
        #expect(host.node == nil)
        #expect(try await rig.database.read { try $0.job(claimed[0].id)?.state } == .waiting)
        #expect(try await rig.database.read { try $0.nodes().map(\.name) } == ["alive"])
        #expect(try await rig.vm(vm).state.waiting == .hostDisconnected)
    }

    @Test func `nodes that live keep what they hold`() async throws {
        let rig = try await Rig()
        let (one, oneContext) = service(rig, "one", lease: .seconds(2))
        let (two, _) = service(rig, "two", lease: .seconds(2))
        try await one.join()
        try await two.join()
        try await connect(rig, as: oneContext)
        let lives = [Task { await one.run() }, Task { await two.run() }]
        defer { for life in lives { life.cancel() } }
        _ = try await eventually("many leases have passed") {
            try await rig.database.read { try $0.nodes() }.allSatisfy { $0.beat > 15 } ? true : nil
        }
        #expect(try await rig.database.read { try $0.nodes().map(\.name) } == ["one", "two"])
        #expect(try await rig.database.read { try $0.host(rigHostA)?.connection } == .connected)
    }

    @Test func `a node that finds itself off the record lets go of its agents and joins anew under another id`()
        async throws
    {
        let rig = try await Rig()
        let (node, context) = service(rig, "back")
        try await node.join()
        try await connect(rig, as: context)
        let former = context.node.id
        try await rig.database.write("bury") { tx in
            try tx.removeNode(former)
            try tx.freeStranded()
        }
        let life = Task { await node.run() }
        defer { life.cancel() }
        let now = try await eventually("it is there again") {
            try await rig.database.read { try $0.nodes().first }
        }
        #expect(now.id != former && now.name == "back" && now.id == context.node.id)
        #expect(!rig.hosts.host(rigHostA).isConnected)
    }

    @Test func `a session whose place a late hello took with another node is ended, and no other`() async throws {
        let rig = try await Rig()
        let (one, oneContext) = service(rig, "one", lease: .seconds(5))
        let (two, twoContext) = service(rig, "two", lease: .seconds(30))
        try await one.join()
        try await two.join()
        try await connect(rig, as: oneContext)
        let life = Task { await one.run() }
        defer { life.cancel() }
        let beat = { try await rig.database.read { try $0.nodes().first { $0.name == "one" }?.beat } ?? 0 }
        _ = try await eventually("some beats have passed") { try await beat() > 2 ? true : nil }
        #expect(rig.hosts.host(rigHostA).isConnected)
        // It lay with the other node since before the session began, and its connection is dead.
        let late = HostSessionService(twoContext)
        let grant = try await late.open(hello(rig))
        try await late.closed(grant.host, session: grant.session, reason: "the connection broke")
        _ = try await eventually("the agent is let go") { rig.hosts.host(rigHostA).isConnected ? nil : true }
    }

    @Test(arguments: [false, true])
    func `a node whose database does not answer lets go of its agents after the lease, unless it is the only one`(
        isAlone: Bool
    ) async throws {
        let rig = try await Rig()
        let database = SilentDatabase(rig.database)
        let (node, context) = service(rig, "n", on: database, isAlone: isAlone)
        try await node.join()
        try await connect(rig, as: context)
        let life = Task { await node.run() }
        defer { life.cancel() }
        database.fallSilent()
        if isAlone {
            _ = try await eventually("a write has waited for two leases") {
                database.silence.map { $0 > .milliseconds(600) } ?? false ? true : nil
            }
        } else {
            _ = try await eventually("its agent is let go") { rig.hosts.host(rigHostA).isConnected ? nil : true }
        }
        #expect(rig.hosts.host(rigHostA).isConnected == isAlone)
        database.answer()
    }

    @Test func `a node that leaves, or starts again at its place, frees what it held at once`() async throws {
        let rig = try await Rig()
        let (first, firstContext) = service(rig, "n")
        try await first.join()
        try await connect(rig, as: firstContext)
        let (second, secondContext) = service(rig, "n")
        try await second.join()
        #expect(try await rig.database.read { try $0.host(rigHostA)?.connection } == .disconnected)
        #expect(try await rig.database.read { try $0.nodes().map(\.id) } == [secondContext.node.id])
        try await connect(rig, as: secondContext)
        try await second.leave()
        #expect(try await rig.database.read { try $0.host(rigHostA)?.connection } == .disconnected)
        #expect(try await rig.database.read { try $0.nodes() }.isEmpty)
    }

    /// Host A has a session with the node of `context`.
    private func hello(_ rig: Rig) -> AgentHello {
        AgentHello(
            host: rigHostA, instance: "agent",
            facts: HostFacts(
                cpus: 8, memory: 8192, agentVersion: "test",
                hypervisor: HypervisorFacts(domainType: "qemu", reason: "", libvirtVersion: "", qemuVersion: ""),
                pool: rig.hosts.host(rigHostA).pool))
    }

    private func connect(_ rig: Rig, as context: Context) async throws {
        let sessions = HostSessionService(context)
        let hello = hello(rig)
        let grant = try await sessions.open(hello)
        rig.hosts.change(rigHostA) {
            $0.isConnected = true
            $0.session = grant.session
        }
        try await sessions.established(grant, hello: hello, inventory: rig.hosts.inventory(rigHostA))
    }

    /// A VM on host A with a stop that nobody has taken up.
    private func stoppingVM(_ rig: Rig) async throws -> String {
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        _ = try await rig.vms.start("v", on: "a", by: caller)
        return "v"
    }
}

/// A store that can stop answering: writes wait until it answers again.
private final class SilentDatabase: Database {
    private struct State {
        var since: ContinuousClock.Instant?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let inner: any Database
    private let state = Mutex(State())

    init(_ inner: any Database) { self.inner = inner }

    func fallSilent() { state.withLock { $0.since = .now } }

    /// How long the first write that waits has waited; nil while none does.
    var silence: Duration? {
        state.withLock { state in state.waiting.isEmpty ? nil : state.since.map { .now - $0 } }
    }

    func answer() {
        let waiting = state.withLock { state in
            defer { state = State() }
            return state.waiting
        }
        for one in waiting { one.resume() }
    }

    func write<Result: Sendable>(
        _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result {
        await withCheckedContinuation { waiter in
            let isSilent = state.withLock { state in
                if state.since != nil { state.waiting.append(waiter) }
                return state.since != nil
            }
            if !isSilent { waiter.resume() }
        }
        return try await inner.write(label, body)
    }

    func read<Result: Sendable>(_ body: @escaping @Sendable (any Transaction) throws -> Result) async throws -> Result {
        try await inner.read(body)
    }
}
