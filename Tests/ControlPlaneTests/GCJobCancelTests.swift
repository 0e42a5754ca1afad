import ControlPlane
import Domain
import Testing

@Suite struct GCJobCancelTests {
    private let caller = Rig.operatorCaller

    @Test func `a stop job cancelled while it runs leaves the VM as its host shows it`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        rig.gates.close("gc-stop.before-command")
        try await rig.connect(rigHostA)
        _ = try await eventually("the job is held") { rig.gates.isHolding("gc-stop.before-command") ? true : nil }
        let job = try #require(try await rig.gcJobs().first)
        let cancelled = try await rig.jobs.cancelGCJob(job.id.rawValue, by: caller)
        #expect(cancelled.outcome == .cancelledByUser)
        #expect(try await rig.vm().state.label == .running)
        rig.gates.open("gc-stop.before-command")
        _ = try await eventually("its last command had its effect") {
            rig.hosts.host(rigHostA).domains.isEmpty ? true : nil
        }
        try await rig.sessions.received(
            rig.hosts.inventory(rigHostA), from: rigHostA, session: rig.hosts.host(rigHostA).session)
        #expect(try await rig.vm().state.label == .stopped)
    }

    @Test func `the job that deletes a VM cannot be called off while the VM is being deleted`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.destroy("v", isDeferrable: true, by: caller)
        let job = try #require(try await rig.gcJobs().first)
        do {
            _ = try await rig.jobs.cancelGCJob(job.id.rawValue, by: caller)
            Issue.record("the job was cancelled")
        } catch let fault as Fault { #expect(fault.code == .invalidState) }
        try await rig.connect(rigHostA)
        _ = try await eventually("destroyed") {
            try await rig.vms.vm(vm.id.rawValue).vm.state == .destroyed ? true : nil
        }
    }
}
