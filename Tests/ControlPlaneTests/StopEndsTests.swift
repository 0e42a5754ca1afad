import ControlPlane
import Domain
import Testing

@Suite struct StopEndsTests {
    private let caller = Rig.operatorCaller

    @Test func `a stop that comes before the start it overtakes has succeeded`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        rig.gates.close("start.before-command")
        _ = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("the start is held") { rig.gates.isHolding("start.before-command") ? true : nil }
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        let ended = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
        #expect(ended.outcome == .notFound)
        #expect(try await rig.vm().state.label == .stopped)
        rig.gates.open("start.before-command")
        _ = try await eventually("the late start was refused") {
            rig.hosts.log.contains("A start 1") ? true : nil
        }
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
    }

    @Test func `a stop ends when a report shows the VM at rest, though its host is lost for good`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        rig.hosts.decideFate { _ in .loseCommand }
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        _ = try await eventually("the stop was tried") {
            try await rig.jobs.operation(stop.id.rawValue).attempts > 1 ? true : nil
        }
        let gone = DomainChange(vm: vm.id, epoch: Epoch(1), state: .gone(.guestShutdown), sequence: 99)
        try await rig.sessions.received(gone, from: rigHostA, session: rig.hosts.host(rigHostA).session)
        try await rig.cut(rigHostA)
        let ended = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(5))
        #expect(ended.outcome == .stopped)
        #expect(try await rig.vm().operation == nil)
    }

    @Test func `a stop that failed has succeeded if the guest went by itself`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        rig.hosts.decideFate { _ in .reject(Fault(.unavailable, .commandFailed, "libvirt refused.")) }
        rig.gates.close("stop.before-write")
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        _ = try await eventually("the answer is held") { rig.gates.isHolding("stop.before-write") ? true : nil }
        let gone = DomainChange(vm: vm.id, epoch: Epoch(1), state: .gone(.guestShutdown), sequence: 99)
        try await rig.sessions.received(gone, from: rigHostA, session: rig.hosts.host(rigHostA).session)
        rig.gates.open("stop.before-write")
        let ended = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(5))
        #expect(ended.outcome == .stopped)
    }

    @Test func `a server that stops hands its start over to its successor`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        try await rig.connect(rigHostA)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        rig.gates.close("start.before-command")
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("the start is held") { rig.gates.isHolding("start.before-command") ? true : nil }
        engine.cancel()
        rig.hosts.change(rigHostA) { $0.isConnected = false }
        rig.gates.open("start.before-command")
        _ = await engine.result
        try await rig.forgetSessions()
        let successor = rig.startEngine()
        defer { successor.cancel() }
        try await rig.connect(rigHostA)
        let ended = try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(5))
        #expect(ended.outcome == .started)
        #expect(try await rig.vm().state.label == .running)
    }
}

@Suite struct CrashedStopTests {
    @Test func `a stop takes note of a crash, and asks no host`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        try await rig.sessions.received(
            DomainChange(vm: vm.id, epoch: Epoch(1), state: .gone(.failed), sequence: 1000), from: rigHostA,
            session: rig.hosts.host(rigHostA).session)
        #expect(try await rig.vm().state == .crashed(.failed))
        try await rig.cut(rigHostA)
        let log = rig.hosts.log
        let stop = try await rig.vms.stop("v", StopRequest(mode: .grace), by: Rig.operatorCaller)
        #expect(stop.outcome == .stopped)
        #expect(try await rig.vm().state == .stopped(.failed))
        #expect(rig.hosts.log == log)
    }
}
