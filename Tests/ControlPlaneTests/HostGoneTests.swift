import ControlPlane
import Domain
import Testing

@Suite struct HostGoneTests {
    private let caller = Rig.operatorCaller

    /// VM `v` is being deleted, to keep nothing: its domain is gone, and its disk is left to a job that waits for A.
    private func deletedDown(to rig: Rig) async throws -> VMID {
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.destroy("v", isDeferrable: true, expunges: true, by: caller)
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        rig.hosts.decideFate { _ in .loseCommand }
        try await rig.connect(rigHostA)
        let state = try await rig.vms.vm(vm.id.rawValue).vm.state
        #expect(state.label == .destroying)
        #expect(state.placement == nil)
        #expect(state.waiting == nil)
        try await rig.cut(rigHostA)
        return vm.id
    }

    @Test func `deleting the host ends a delete whose domain is gone, says what stays, and the name is free`()
        async throws
    {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let id = try await deletedDown(to: rig)
        _ = try await rig.hostService.delete("a", isForced: true, by: caller)
        #expect(try await rig.record(of: id) == nil)
        let last = try await rig.events(of: id).last { $0.kind == "vm.expunged" }
        #expect(last?.message.contains("Left behind on deleted host a") == true)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
    }

    @Test func `a fence ends a delete whose domain is gone, and leaves the leftovers to its job`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let id = try await deletedDown(to: rig)
        _ = try await rig.hostService.fence("a", proof: "off", by: caller)
        #expect(try await rig.vms.vm(id.rawValue).vm.state == .expunging)
        let jobs = try await rig.gcJobs()
        #expect(jobs.map(\.kind) == [.destroyVM, .deleteVolume])
        #expect(jobs.map(\.state.isEnded) == [true, false])
        rig.hosts.decideFate { _ in .deliver }
        try await rig.connect(rigHostA)
        _ = try await eventually("it is expunged") {
            try await rig.record(of: id) == nil ? true : nil
        }
        #expect(rig.hosts.disks.isEmpty)
    }

    @Test(arguments: [false, true])
    func `a fence ends a delete operation that waits for the host`(expunges: Bool) async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        rig.hosts.decideFate { _ in .loseCommand }
        let operation = try await rig.vms.destroy("v", isDeferrable: false, expunges: expunges, by: caller)
        _ = try await eventually("it is tried") {
            try await rig.jobs.operation(operation.id.rawValue).attempts > 0 ? true : nil
        }
        try await rig.cut(rigHostA)
        _ = try await rig.hostService.fence("a", proof: "off", by: caller)
        let ended = try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(5))
        #expect(ended.outcome == .destroyed)
        #expect(try await rig.vms.vm(vm.id.rawValue).vm.state == (expunges ? .expunging : .destroyed))
        let job = try #require(try await rig.gcJobs().first)
        #expect(job.kind == (expunges ? .deleteVolume : .destroyVM))
        #expect(!job.state.isEnded)
        // The host was not off after all: its domain is ended, and the disk goes only if it was to.
        rig.hosts.decideFate { _ in .deliver }
        try await rig.connect(rigHostA)
        _ = try await rig.endedGCJob()
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(rig.hosts.disks == (expunges ? [] : [vm.id]))
    }

    @Test func `a delete whose domain turns out to be gone needs nothing more of its host`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        rig.hosts.decideFate { _ in .loseCommand }
        let operation = try await rig.vms.destroy("v", isDeferrable: false, by: caller)
        _ = try await eventually("it is tried") {
            try await rig.jobs.operation(operation.id.rawValue).attempts > 0 ? true : nil
        }
        let gone = DomainChange(vm: vm.id, epoch: Epoch(1), state: .gone(.guestShutdown), sequence: 99)
        try await rig.sessions.received(gone, from: rigHostA, session: rig.hosts.host(rigHostA).session)
        let ended = try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(5))
        #expect(ended.outcome == .destroyed)
        #expect(try await rig.vm().state == .destroyed)
        #expect(try await rig.gcJobs().isEmpty)
    }

    @Test func `a host that is about to connect is not off, and cannot be fenced`() async throws {
        let rig = try await Rig()
        try await rig.connect(rigHostA)
        try await rig.cut(rigHostA)
        let hello = AgentHello(
            host: rigHostA, instance: "i",
            facts: HostFacts(
                cpus: 1, memory: 1, agentVersion: "",
                hypervisor: HypervisorFacts(domainType: "qemu", reason: "", libvirtVersion: "", qemuVersion: ""),
                pool: rig.hosts.host(rigHostA).pool))
        _ = try await rig.sessions.open(hello)
        await #expect(throws: Fault.self) { try await rig.hostService.fence("a", proof: "off", by: caller) }
    }

    @Test func `a VM on a deleted host is unknown and nothing more can be asked of it until the fence`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        _ = try await rig.hostService.delete("a", isForced: true, by: caller)
        let abandoned = VMState.unknown(Placement(host: rigHostA, epoch: Epoch(1)), .hostDeleted)
        #expect(try await rig.vm().state == abandoned)
        do {
            _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
            Issue.record("a stop that nobody can carry out was accepted")
        } catch let fault as Fault {
            #expect(fault.code == .hostDeleted)
            #expect(fault.hint?.contains(rigHostA.rawValue) == true)
        }
        await #expect(throws: Fault.self) { try await rig.vms.destroy("v", isDeferrable: true, by: caller) }
        #expect(try await rig.vm().state == abandoned)
        #expect(try await rig.gcJobs("waiting").isEmpty)
        _ = try await rig.hostService.fence(rigHostA.rawValue, proof: "scrapped", by: caller)
        #expect(try await rig.vm().state == .stopped(.hostFenced))
    }
}
