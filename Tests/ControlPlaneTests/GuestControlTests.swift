import ControlPlane
import Domain
import Testing

@Suite struct GuestControlTests {
    private let caller = Rig.operatorCaller

    private func up(_ rig: Rig) async throws {
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
    }

    private func ended(_ operation: Job, _ rig: Rig) async throws -> Job {
        try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
    }

    @Test func `a guest is paused, resumed and reset where it is`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await up(rig)
        let steps: [(GuestControl, JobOutcome, VMState.Label)] = [
            (.pause, .paused, .paused), (.resume, .resumed, .running), (.reset, .reset, .running),
            (.reboot, .rebooted, .running),
        ]
        for (control, outcome, state) in steps {
            let end = try await ended(try await rig.vms.control("v", control, by: caller), rig)
            #expect(end.outcome == outcome)
            let vm = try await rig.vm()
            #expect(vm.state.label == state)
            #expect(vm.epoch == Epoch(1))
            #expect(vm.operation == nil)
        }
        #expect(rig.hosts.log.suffix(4) == ["A pause 1", "A resume 1", "A reset 1", "A reboot 1"])
    }

    @Test func `what makes no sense now is refused with what is possible`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await up(rig)
        let resume = try await #require(throws: Fault.self) { try await rig.vms.control("v", .resume, by: caller) }
        #expect(resume.code == .invalidState)
        #expect(resume.hint == "It can be paused, rebooted, reset, migrated, stopped or deleted.")
        _ = try await ended(try await rig.vms.control("v", .pause, by: caller), rig)
        for control in [GuestControl.pause, .reset, .reboot] {
            let fault = try await #require(throws: Fault.self) { try await rig.vms.control("v", control, by: caller) }
            #expect(fault.code == .invalidState)
            #expect(fault.hint == "It can be resumed, migrated, stopped or deleted.")
        }
        _ = try await ended(try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller), rig)
        let stopped = try await #require(throws: Fault.self) { try await rig.vms.control("v", .pause, by: caller) }
        #expect(stopped.code == .invalidState)
    }

    @Test func `it is never left for later`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await up(rig)
        rig.hosts.change(rigHostA) { $0.libvirtAnswers = false }
        let end = try await ended(try await rig.vms.control("v", .pause, by: caller), rig)
        #expect(end.outcome == .failed)
        try await rig.cut(rigHostA)
        // Unknown, so nothing but a stop or delete makes sense.
        let fault = try await #require(throws: Fault.self) { try await rig.vms.control("v", .pause, by: caller) }
        #expect(fault.code == .invalidState)
    }

    @Test(arguments: GuestControl.allCases)
    func `a lost answer is found out, and the command is not sent again`(control: GuestControl) async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await up(rig)
        if control == .resume { _ = try await ended(try await rig.vms.control("v", .pause, by: caller), rig) }
        rig.hosts.decideFate { command in
            if case .control = command { .loseAnswer } else { .deliver }
        }
        let end = try await ended(try await rig.vms.control("v", control, by: caller), rig)
        #expect(end.outcome == control.outcome)
        #expect(rig.hosts.log.filter { $0 == "A \(control.rawValue) 1" }.count == 1)
        let vm = try await rig.vm()
        #expect(vm.operation == nil)
        #expect(vm.state.placement != nil)
    }

    @Test func `a command that the host never got has failed, and is refused when it comes`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await up(rig)
        rig.hosts.decideFate { command in
            if case .control = command { .loseCommand } else { .deliver }
        }
        let end = try await ended(try await rig.vms.control("v", .pause, by: caller), rig)
        #expect(end.outcome == .failed)
        #expect(!rig.hosts.log.contains("A pause 1"))
        #expect(try await rig.vm().state.label == .running)
    }

    @Test func `a stop overtakes a pause whose answer is awaited`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await up(rig)
        rig.gates.close("pause.before-write")
        let pause = try await rig.vms.control("v", .pause, by: caller)
        _ = try await eventually("the pause is answered") { rig.gates.isHolding("pause.before-write") ? true : nil }
        let refused = try await #require(throws: Fault.self) { try await rig.vms.control("v", .reset, by: caller) }
        #expect(refused.code == .operationInProgress)
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        #expect(try await ended(stop, rig).outcome == .stopped)
        rig.gates.open("pause.before-write")
        #expect(try await ended(pause, rig).outcome == .superseded)
        #expect(try await rig.vm().state.label == .stopped)
    }
}
