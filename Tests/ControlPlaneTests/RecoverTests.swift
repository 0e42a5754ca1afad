import ControlPlane
import Domain
import Testing

@Suite struct RecoverTests {
    private let caller = Rig.operatorCaller

    /// The fault that `body` is refused with.
    private func refusal(
        sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
    ) async throws -> Fault {
        do { try await body() } catch let fault as Fault { return fault }
        Issue.record("it was accepted", sourceLocation: sourceLocation)
        throw TimedOut(what: "a refusal")
    }

    private func destroyed(_ rig: Rig, _ name: String = "v") async throws -> VM {
        let operation = try await rig.vms.destroy(name, isDeferrable: false, by: caller)
        let ended = try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
        #expect(ended.outcome == .destroyed)
        return try await rig.vms.vm(operation.vm.rawValue).vm
    }

    @Test func `a destroyed VM keeps its disk, and starts with a higher epoch once it is recovered`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let before = try await rig.runningVM()
        let now = rig.context.time.wall()
        let gone = try await destroyed(rig)
        #expect(gone.state == .destroyed)
        let kept = try #require(gone.expungeAt)
        #expect((now.adding(.seconds(86_400))...now.adding(.seconds(86_410))).contains(kept))
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(rig.hosts.disks == [before.id])

        let operation = try await rig.vms.recover("v", by: caller)
        #expect(operation.outcome == .recovered)
        let back = try await rig.vm()
        #expect(back.id == before.id)
        #expect(back.state == .stopped(.requested))
        #expect(back.epoch == Epoch(1))
        #expect(back.expungeAt == nil)
        let again = try await rig.start(on: "a")
        #expect(again.state == .running(Placement(host: rigHostA, epoch: Epoch(2))))
        #expect(rig.hosts.disksMade(for: before.id) == 1)
        #expect(rig.hosts.log == ["A start 1", "A destroy 1", "A start 2"])
    }

    @Test func `a VM that does not run needs no host to be destroyed`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        _ = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
        try await rig.cut(rigHostA)
        #expect(try await destroyed(rig).state == .destroyed)
        #expect(try await rig.gcJobs().isEmpty)
        #expect(rig.hosts.log == ["A start 1", "A stop 1"])
        #expect(rig.hosts.disks == [vm.id])
        _ = try await rig.vms.recover("v", by: caller)
        #expect(try await rig.vm().state.label == .stopped)
    }

    @Test func `only a destroyed VM can be recovered, and only once`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        for reference in ["v", vm.id.rawValue] {
            let fault = try await refusal { _ = try await rig.vms.recover(reference, by: caller) }
            #expect(fault.code == .invalidState)
            #expect(fault.message.contains("running"))
        }
        _ = try await destroyed(rig)
        _ = try await rig.vms.recover("v", by: caller)
        #expect(try await refusal { _ = try await rig.vms.recover("v", by: caller) }.code == .invalidState)
        _ = try await destroyed(rig)
        let expunge = try await rig.vms.expunge("v", by: caller)
        _ = try await rig.jobs.wait(for: expunge.id.rawValue, atMost: .seconds(60))
        for reference in ["v", vm.id.rawValue] {
            #expect(try await refusal { _ = try await rig.vms.recover(reference, by: caller) }.code == .notFound)
        }
    }

    @Test func `a VM whose name is taken is recovered under another`() async throws {
        let rig = try await Rig()
        let new = NewVM(name: "v", image: "tiny", cpus: 1, memory: 128)
        let first = try await rig.vms.create(new, by: caller).vm.id.rawValue
        _ = try await destroyed(rig)
        let second = try await rig.vms.create(new, by: caller).vm.id.rawValue
        let byName = try await refusal { _ = try await rig.vms.recover("v", by: caller) }
        #expect(byName.code == .invalidState)
        #expect(byName.hint?.contains(first) == true)
        let byID = try await refusal { _ = try await rig.vms.recover(first, by: caller) }
        #expect(byID.code == .nameTaken)
        #expect(byID.field == "name")
        #expect(byID.hint?.contains("--name") == true)
        let bad = try await refusal { _ = try await rig.vms.recover(first, as: "No Name", by: caller) }
        #expect(bad.code == .invalidField)
        _ = try await rig.vms.recover(first, as: "w", by: caller)
        #expect(try await rig.vm("w").id.rawValue == first)
        #expect(try await rig.vm("v").id.rawValue == second)
    }

    @Test func `destroyed VMs of one name are told apart by their ids`() async throws {
        let rig = try await Rig()
        var ids: [String] = []
        for _ in 0..<2 {
            let new = NewVM(name: "v", image: "tiny", cpus: 1, memory: 128)
            ids.append(try await rig.vms.create(new, by: caller).vm.id.rawValue)
            _ = try await destroyed(rig)
        }
        for body in [
            { _ = try await rig.vms.recover("v", by: caller) }, { _ = try await rig.vms.expunge("v", by: caller) },
            { _ = try await rig.vms.vm("v") },
        ] {
            let fault = try await refusal { try await body() }
            #expect(fault.code == .nameAmbiguous)
            #expect(ids.allSatisfy { fault.hint?.contains($0) == true })
        }
        // What only a living VM can be asked for finds none, and says where the name went.
        let start = try await refusal { _ = try await rig.vms.start("v", on: nil, by: caller) }
        #expect(start.code == .notFound)
        #expect(start.hint?.contains(ids[0]) == true)
        _ = try await rig.vms.recover(ids[1], by: caller)
        #expect(try await rig.vm().id.rawValue == ids[1])
    }

    @Test func `a VM whose time is over cannot be recovered, swept or not`() async throws {
        let rig = try await Rig(tuning: { $0.keepDestroyed = .milliseconds(1) })
        let vm = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller).vm
        let kept = try #require(try await destroyed(rig).expungeAt)
        _ = try await eventually("its time is over") { rig.context.time.wall() > kept ? true : nil }
        #expect(try await refusal { _ = try await rig.vms.recover("v", by: caller) }.code == .invalidState)
        try await Retention(rig.context).sweep()
        #expect(try await refusal { _ = try await rig.vms.recover(vm.id.rawValue, by: caller) }.code == .notFound)
    }

    @Test func `a deferred destroy ends the domain when its host is back, and keeps the disk`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.destroy("v", isDeferrable: true, by: caller)
        #expect(try await rig.vm().state.label == .destroying)
        #expect(try await refusal { _ = try await rig.vms.recover("v", by: caller) }.code == .invalidState)
        #expect(try await refusal { _ = try await rig.vms.expunge("v", by: caller) }.code == .invalidState)
        try await rig.connect(rigHostA)
        #expect(try await rig.endedGCJob().outcome == .destroyed)
        #expect(try await rig.vm().state == .destroyed)
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(rig.hosts.disks == [vm.id])
        _ = try await rig.vms.recover("v", by: caller)
    }

    @Test func `a stop that is still to be done outlives the destroy of a VM without a domain`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.hostService.fence("a", proof: "wrongly", by: caller)
        #expect(try await destroyed(rig).state == .destroyed)
        let job = try #require(try await rig.gcJobs().first)
        #expect(job.kind == .stopVM)
        #expect(!job.state.isEnded)
        try await rig.connect(rigHostA)
        #expect(try await rig.endedGCJob().outcome == .stopped)
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(try await rig.vm().state == .destroyed)
    }

    @Test func `a clean-up never removes the disk of a VM that can come back, whatever it was made for`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        let vm = try await destroyed(rig)
        try await rig.database.write("old job") { tx in
            _ = try tx.enqueue(
                Job(
                    id: JobID(trusted: "eeeeeeee-0000-4000-8000-000000000005"), kind: .destroyVM, vm: vm.id,
                    host: rigHostA, epoch: vm.epoch, payload: JobPayload(removesDisk: true), wish: vm.wish,
                    nextAttemptAt: tx.now, requestedBy: "operator", createdAt: tx.now, updatedAt: tx.now))
        }
        #expect(try await rig.endedGCJob().outcome == .destroyed)
        #expect(rig.hosts.disks == [vm.id])
        #expect(try await rig.vm() == vm)
    }

    /// VM `v` was destroyed on A by a fence that was wrong, and recovered.
    private func recoveredAfterFence(_ rig: Rig) async throws -> VM {
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.destroy("v", isDeferrable: true, by: caller)
        _ = try await rig.hostService.fence("a", proof: "off", by: caller)
        #expect(try await rig.vm().state == .destroyed)
        _ = try await rig.vms.recover("v", by: caller)
        return try await rig.vm()
    }

    @Test func `a clean-up left by a destroy ends the old domain and leaves a recovered VM alone`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await recoveredAfterFence(rig)
        let onB = try await rig.start(on: "b")
        #expect(onB.state == .running(Placement(host: rigHostB, epoch: Epoch(2))))
        try await rig.connect(rigHostA)
        _ = try await rig.endedGCJob()
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(rig.hosts.host(rigHostB).domains == [vm.id: Epoch(2)])
        #expect(try await rig.vm().state == onB.state)
        #expect(rig.hosts.disks == [vm.id])
    }

    @Test func `a clean-up that comes to a recovered VM on its old host yields to it`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await recoveredAfterFence(rig)
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        rig.gates.close("gc-destroy.before-command")
        try await rig.connect(rigHostA)
        let back = try await rig.start(on: "a")
        #expect(back.state == .running(Placement(host: rigHostA, epoch: Epoch(2))))
        rig.gates.open("gc-destroy.before-command")
        #expect(try await rig.endedGCJob().outcome == .superseded)
        #expect(rig.hosts.host(rigHostA).domains == [vm.id: Epoch(2)])
        #expect(try await rig.vm().state == back.state)
        #expect(rig.hosts.disks == [vm.id])
    }
}
