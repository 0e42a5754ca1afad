import ControlPlane
import Domain
import Testing

@Suite struct StopLaterTests {
    private let caller = Rig.operatorCaller
    private let deferred = StopRequest(mode: .cold, isDeferrable: true)

    /// A rig whose VM `v` runs on A, epoch 1, with A cut off.
    private func cutOff(_ rig: Rig) async throws {
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
    }

    @Test func `a deferred stop waits for its host and then stops once`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        let unknown = try await rig.vm()
        #expect(unknown.state.label == .unknown)
        let operation = try await rig.vms.stop("v", deferred, by: caller)
        #expect(operation.outcome == .deferred)
        let stopping = try await rig.vm()
        #expect(stopping.state == .stopping(Placement(host: rigHostA, epoch: Epoch(1)), waiting: .hostDisconnected))
        await #expect(throws: Fault.self) { try await rig.vms.start("v", on: "b", by: caller) }
        do { _ = try await rig.vms.start("v", on: "b", by: caller) } catch let fault as Fault {
            #expect(fault.code == .placementUnresolved)
        }
        try await rig.connect(rigHostA)
        let job = try await rig.endedGCJob()
        #expect(job.outcome == .stopped)
        #expect(try await rig.vm().state == .stopped(.requested))
        #expect(rig.hosts.log == ["A start 1", "A stop 1"])
    }

    @Test func `without deferral an unreachable host is a clear error and nothing is left behind`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        let before = try await rig.vm()
        do {
            _ = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
            Issue.record("the stop was accepted")
        } catch let fault as Fault {
            #expect(fault.code == .hostUnreachable)
            #expect(fault.hint?.contains("--defer") == true)
        }
        #expect(try await rig.vm() == before)
        #expect(try await rig.gcJobs().isEmpty)
    }

    @Test func `with the domain already gone the outcome is not-found in one attempt`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        try await rig.connect(rigHostA)
        let job = try await rig.endedGCJob()
        #expect(job.outcome == .notFound)
        #expect(job.attempts == 1)
        #expect(try await rig.vm().state.label == .stopped)
    }

    @Test func `with libvirt down when the host comes back nothing changes and the job says why`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        rig.hosts.change(rigHostA) { $0.libvirtAnswers = false }
        try await rig.connect(rigHostA)
        let waiting = try await eventually("the job says why") {
            try await rig.gcJobs("waiting").first { $0.lastError?.message.contains("libvirt") == true }
        }
        #expect(try await rig.vm().state.waiting == .libvirtUnavailable)
        let why = try await rig.jobs.explain(waiting.id.rawValue).waitsBecause
        #expect(why.contains("libvirt"))
        rig.hosts.change(rigHostA) { $0.libvirtAnswers = true }
        try await rig.sessions.received(
            rig.hosts.inventory(rigHostA), from: rigHostA, session: rig.hosts.host(rigHostA).session)
        #expect(try await rig.endedGCJob().outcome == .stopped)
        #expect(try await rig.vm().state == .stopped(.requested))
    }

    @Test func `the VM ran on elsewhere: the old domain is stopped and the record left alone`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        _ = try await rig.hostService.fence("a", proof: "pulled the plug", by: caller)
        let onB = try await rig.start(on: "b")
        #expect(onB.state == .running(Placement(host: rigHostB, epoch: Epoch(2))))
        try await rig.connect(rigHostA)
        let job = try await rig.endedGCJob()
        #expect(job.outcome == .superseded)
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(rig.hosts.host(rigHostB).domains == [onB.id: Epoch(2)])
        let last = try await rig.vms.vm("v")
        #expect(last.vm.state == onB.state)
        #expect(last.conflicts.isEmpty)
    }

    @Test(arguments: ["gc-stop.before-command", "gc-stop.before-write"])
    func `R15 a job that is paused while the VM moves changes nothing`(gate: String) async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        rig.gates.close(gate)
        try await rig.connect(rigHostA)
        _ = try await eventually("the job is held") { rig.gates.isHolding(gate) ? true : nil }
        try await rig.cut(rigHostA)
        _ = try await rig.hostService.fence("a", proof: "off", by: caller)
        let onB = try await rig.start(on: "b")
        try await rig.connect(rigHostA)
        rig.gates.open(gate)
        #expect(try await rig.endedGCJob().outcome == .superseded)
        #expect(try await rig.vm().state == onB.state)
        #expect(!rig.hosts.log.contains("B stop 1"))
        #expect(rig.hosts.host(rigHostB).domains == [onB.id: Epoch(2)])
    }

    @Test func `R16 a VM that came back to its host with a newer epoch is not touched`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        _ = try await rig.hostService.fence("a", proof: "off", by: caller)
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        rig.gates.close("gc-stop.before-command")
        try await rig.connect(rigHostA)
        let back = try await rig.start(on: "a")
        #expect(back.state == .running(Placement(host: rigHostA, epoch: Epoch(2))))
        rig.gates.open("gc-stop.before-command")
        #expect(try await rig.endedGCJob().outcome == .superseded)
        #expect(rig.hosts.host(rigHostA).domains == [back.id: Epoch(2)])
        #expect(try await rig.vm().state == back.state)
    }

    @Test func `deleting the host ends the job and leaves the VM unknown until a fence`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        await #expect(throws: Fault.self) { try await rig.hostService.delete("a", isForced: false, by: caller) }
        let removal = try await rig.hostService.delete("a", isForced: true, by: caller)
        #expect(removal.unresolved.map(\.name) == ["v"])
        #expect(try await rig.endedGCJob().outcome == .hostDeleted)
        #expect(try await rig.vm().state.waiting == .hostDeleted)
        await #expect(throws: Fault.self) { try await rig.connect(rigHostA) }
        _ = try await rig.hostService.fence(rigHostA.rawValue, proof: "scrapped", by: caller)
        #expect(try await rig.vm().state == .stopped(.hostFenced))
    }

    @Test func `destroying the VM ends the stop and its own job ends the domain`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        let id = try await rig.vm().id
        let operation = try await rig.vms.destroy("v", isDeferrable: true, by: caller)
        #expect(operation.outcome == .deferred)
        let stop = try await rig.gcJobs().first { $0.kind == .stopVM }
        #expect(stop?.outcome == .vmDestroyed)
        #expect(try await rig.vms.vm(id.rawValue).vm.state.label == .destroying)
        try await rig.connect(rigHostA)
        _ = try await eventually("destroyed") {
            try await rig.vms.vm(id.rawValue).vm.state == .destroyed ? true : nil
        }
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(try await rig.gcJobs().allSatisfy { $0.state.isEnded })
    }

    @Test func `a stronger stop strengthens the job that waits`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", StopRequest(mode: .grace, isDeferrable: true), by: caller)
        _ = try await rig.vms.stop("v", StopRequest(mode: .force, isDeferrable: true), by: caller)
        let jobs = try await rig.gcJobs()
        #expect(jobs.count == 1)
        #expect(jobs.first?.payload.mode == .force)
    }

    @Test func `R29 the host event three times is one job and one stop`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await cutOff(rig)
        _ = try await rig.vms.stop("v", deferred, by: caller)
        for _ in 0..<3 { try await rig.connect(rigHostA) }
        #expect(try await rig.endedGCJob().outcome == .stopped)
        #expect(rig.hosts.log.filter { $0 == "A stop 1" }.count == 1)
    }
}
