import ControlPlane
import Domain
import Synchronization
import Testing

@Suite struct StaleFactsTests {
    private let caller = Rig.operatorCaller

    private func created(_ rig: Rig) async throws {
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
    }

    private func session(_ rig: Rig) -> Int64 { rig.hosts.host(rigHostA).session }

    @Test func `an inventory collected before a start does not stop what the start brought up`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await created(rig)
        let early = rig.hosts.inventory(rigHostA)
        _ = try await rig.start(on: "a")
        try await rig.sessions.received(early, from: rigHostA, session: session(rig))
        #expect(try await rig.vm().state.label == .running)
        #expect(rig.hosts.host(rigHostA).domains.count == 1)
    }

    @Test func `an inventory collected before a repeated start does not stop what it brought up`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await created(rig)
        let early = rig.hosts.inventory(rigHostA)
        let losses = Mutex(1)
        rig.hosts.decideFate { _ in
            losses.withLock { left in
                defer { left -= 1 }
                return left > 0 ? .loseAnswer : .deliver
            }
        }
        _ = try await rig.start(on: "a")
        try await rig.sessions.received(early, from: rigHostA, session: session(rig))
        #expect(try await rig.vm().state.label == .running)
    }

    @Test func `an inventory collected before a stop raises no conflict after it`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        let early = rig.hosts.inventory(rigHostA)
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        _ = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
        try await rig.sessions.received(early, from: rigHostA, session: session(rig))
        let view = try await rig.vms.vm("v")
        #expect(view.vm.state == .stopped(.requested))
        #expect(view.conflicts.isEmpty)
    }

    @Test func `a start's answer that is written after its host was lost does not say running`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await created(rig)
        rig.gates.close("start.before-write")
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("the answer is held") { rig.gates.isHolding("start.before-write") ? true : nil }
        try await rig.cut(rigHostA)
        rig.gates.open("start.before-write")
        _ = try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(60))
        #expect(try await rig.vm().state.waiting == .hostDisconnected)
        try await rig.connect(rigHostA)
        #expect(try await rig.vm().state.label == .running)
    }

    @Test func `what a session told counts for nothing once the session is over`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        let late = rig.hosts.inventory(rigHostA)
        try await rig.cut(rigHostA)
        let old = session(rig)
        try? await rig.sessions.received(late, from: rigHostA, session: old)
        let change = DomainChange(vm: vm.id, epoch: Epoch(1), state: .running, sequence: 900)
        try? await rig.sessions.received(change, from: rigHostA, session: old)
        #expect(try await rig.vm().state.waiting == .hostDisconnected)
    }

    @Test func `a domain with an epoch from the future is a conflict, and the VM is not said to be stopped`()
        async throws
    {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        rig.hosts.change(rigHostA) { $0.domains = [vm.id: Epoch(9)] }
        try await rig.connect(rigHostA)
        let view = try await rig.vms.vm("v")
        #expect(view.vm.state.label == .unknown)
        #expect(view.conflicts.map(\.epoch) == [Epoch(9)])
    }

    @Test func `a domain whose epoch cannot be read is shown where the VM is not placed`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        let vm = try await rig.runningVM()
        let unreadable = Inventory(
            bootID: "boot-1", libvirtAnswered: true,
            domains: [ObservedDomain(vm: vm.id, epoch: nil, state: .running)], sequence: 50)
        try await rig.sessions.received(unreadable, from: rigHostB, session: rig.hosts.host(rigHostB).session)
        #expect(try await rig.vms.vm("v").conflicts.map(\.host) == [rigHostB])
    }

    @Test func `a reboot is the cause even if libvirt came up after the agent`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        rig.hosts.change(rigHostA) {
            $0.bootID = "boot-2"
            $0.domains = [:]
            $0.libvirtAnswers = false
        }
        try await rig.connect(rigHostA)
        #expect(try await rig.vm().state.waiting == .libvirtUnavailable)
        rig.hosts.change(rigHostA) { $0.libvirtAnswers = true }
        try await rig.sessions.received(rig.hosts.inventory(rigHostA), from: rigHostA, session: session(rig))
        #expect(try await rig.vm().state == .stopped(.hostRebooted))
    }
}
