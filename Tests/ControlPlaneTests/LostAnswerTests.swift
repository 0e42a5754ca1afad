import ControlPlane
import Domain
import Synchronization
import Testing

@Suite struct LostAnswerTests {
    private let caller = Rig.operatorCaller

    @Test func `R25 a start whose answer is lost is unknown, and running once its host is back`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        rig.hosts.decideFate { _ in
            rig.hosts.change(rigHostA) { $0.isConnected = false }
            return .loseAnswer
        }
        _ = try await rig.vms.start("v", on: "a", by: caller)
        try await rig.cut(rigHostA)
        _ = try await eventually("unknown") { try await rig.vm().state.label == .unknown ? true : nil }
        do {
            _ = try await rig.vms.start("v", on: "b", by: caller)
            Issue.record("a second start was accepted")
        } catch let fault as Fault { #expect(fault.code == .placementUnresolved) }
        rig.hosts.decideFate { _ in .deliver }
        try await rig.connect(rigHostA)
        _ = try await eventually("running") {
            let vm = try await rig.vm()
            return vm.state.label == .running && vm.operation == nil ? true : nil
        }
        #expect(rig.hosts.log == ["A start 1"])
    }

    @Test func `R31 a start that never arrived is sent again under the same id and runs once`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        let losses = Mutex(2)
        rig.hosts.decideFate { _ in
            losses.withLock { left in
                guard left > 0 else { return .deliver }
                left -= 1
                return left == 1 ? .loseCommand : .loseAnswer
            }
        }
        let vm = try await rig.start(on: "a")
        #expect(vm.state.label == .running)
        #expect(rig.hosts.log == ["A start 1"])
    }

    @Test func `R26 a forced and deferred stop of a VM whose host is silent is stopping, not stopped`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
        rig.hosts.decideFate { _ in .loseCommand }
        let operation = try await rig.vms.stop(
            "v", StopRequest(mode: .force, isDeferrable: true), by: caller)
        _ = try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
        #expect(try await rig.vm().state.label == .stopping)
        do {
            _ = try await rig.vms.start("v", on: "b", by: caller)
            Issue.record("a start was accepted")
        } catch let fault as Fault { #expect(fault.code == .placementUnresolved) }
    }

    @Test func `R37 a stop of a guest that just powered itself off succeeds`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        let operation = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        let ended = try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
        #expect(ended.outcome == .notFound)
        let vm = try await rig.vm()
        #expect(vm.state.label == .stopped)
        #expect(vm.operation == nil)
    }

    @Test func `a stop supersedes a start that is under way`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        rig.gates.close("start.before-write")
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("the start is held") { rig.gates.isHolding("start.before-write") ? true : nil }
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        _ = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
        rig.gates.open("start.before-write")
        #expect(try await rig.jobs.operation(start.id.rawValue).outcome == .superseded)
        #expect(try await rig.vm().state == .stopped(.requested))
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
    }

    @Test func `the same key is the same operation and another body is refused`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        let first = Caller(
            principal: Principal(name: "operator"), request: Caller.RequestKey(key: "k", digest: "1"))
        let other = Caller(
            principal: Principal(name: "operator"), request: Caller.RequestKey(key: "k", digest: "2"))
        let one = try await rig.vms.stop("v", StopRequest(mode: .cold), by: first)
        let again = try await rig.vms.stop("v", StopRequest(mode: .cold), by: first)
        #expect(one.id == again.id)
        do {
            _ = try await rig.vms.stop("v", StopRequest(mode: .force), by: other)
            Issue.record("the key was accepted for another body")
        } catch let fault as Fault { #expect(fault.code == .idempotencyKeyReused) }
    }
}
