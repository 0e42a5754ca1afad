import ControlPlane
import Domain
import Synchronization
import Testing

@Suite struct ExpungeTests {
    private let caller = Rig.operatorCaller

    /// VM `v` ran on A and is destroyed; A is connected.
    private func destroyedVM(_ rig: Rig) async throws -> VM {
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
        _ = try await ended(try await rig.vms.destroy("v", isDeferrable: false, by: caller), rig)
        return try await rig.vm()
    }

    private func ended(_ operation: Job, _ rig: Rig) async throws -> Job {
        try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
    }

    private func isGone(_ vm: VM, _ rig: Rig) async throws -> Bool {
        try await rig.record(of: vm.id) == nil
    }

    /// Nothing is left of `vm` but the log of events.
    private func expectNothingLeft(
        of vm: VM, _ rig: Rig, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        _ = try await eventually("it is gone", sourceLocation: sourceLocation) {
            try await isGone(vm, rig) ? true : nil
        }
        #expect(rig.hosts.disks.isEmpty, sourceLocation: sourceLocation)
        #expect(rig.hosts.host(rigHostA).domains.isEmpty, sourceLocation: sourceLocation)
        #expect(try await rig.gcJobs().allSatisfy { $0.state.isEnded }, sourceLocation: sourceLocation)
        #expect(
            try await rig.events(of: vm.id).contains { $0.kind == "vm.expunged" }, sourceLocation: sourceLocation)
        let operations = try await rig.jobs.jobs(.operation, ListQuery()).items
        #expect(operations.allSatisfy { $0.state.isEnded }, sourceLocation: sourceLocation)
    }

    @Test func `an expunged VM is gone with its disk, and its events stay`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        let operation = try await rig.vms.expunge("v", by: caller)
        #expect(operation.kind == .expungeOperation)
        #expect(!operation.state.isEnded)
        #expect(try await ended(operation, rig).outcome == .expunged)
        try await expectNothingLeft(of: vm, rig)
        let job = try await rig.endedGCJob()
        #expect(job.kind == .deleteVolume)
        #expect(job.outcome == .expunged)
        #expect((job.host, job.epoch) == (rigHostA, Epoch(1)))
        await #expect(throws: Fault.self) { try await rig.vms.vm(vm.id.rawValue) }
        await #expect(throws: Fault.self) { try await rig.vms.start(vm.id.rawValue, on: nil, by: caller) }
    }

    @Test func `with its host away it waits, says for whom, cannot come back, and its name is free`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        try await rig.cut(rigHostA)
        #expect(try await rig.vms.expunge("v", by: caller).outcome == .deferred)
        let view = try await rig.vms.vm("v")
        #expect(view.vm.state == .expunging)
        #expect(view.waitingFor?.host == rigHostA)
        #expect(view.waitingFor?.reason == .hostDisconnected)
        for body in [
            { _ = try await rig.vms.recover("v", by: caller) }, { _ = try await rig.vms.expunge("v", by: caller) },
            { _ = try await rig.vms.start(vm.id.rawValue, on: "b", by: caller) },
            { _ = try await rig.vms.destroy(vm.id.rawValue, isDeferrable: true, expunges: true, by: caller) },
        ] {
            let fault = await #expect(throws: Fault.self) { try await body() }
            #expect(fault?.code == .invalidState)
        }
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        #expect(rig.hosts.disks == [vm.id])
        try await rig.connect(rigHostA)
        try await expectNothingLeft(of: vm, rig)
    }

    @Test func `only a destroyed VM can be expunged, and a running one is told how`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        let fault = await #expect(throws: Fault.self) { try await rig.vms.expunge("v", by: caller) }
        #expect(fault?.code == .invalidState)
        #expect(fault?.hint?.contains("--expunge") == true)
        #expect(try await rig.vm() == vm)
    }

    @Test func `the time's end expunges what is due, in batches, and nothing else`() async throws {
        let rig = try await Rig(tuning: { $0.keepDestroyed = .milliseconds(1) })
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        let image = vm.image
        try await rig.database.write("fill") { tx in
            for number in 0..<120 {
                let isDue = number % 10 > 0
                try tx.insert(
                    VM(
                        id: VMID(trusted: "eeeeeeee-0000-4000-8000-\(100_000_000_000 + number)"), name: "d\(number)",
                        image: image, cpus: 1, memory: 16, state: .destroyed,
                        expungeAt: tx.now.adding(isDue ? .zero : .seconds(60)), createdAt: tx.now, updatedAt: tx.now))
            }
        }
        _ = try await eventually("it is due") {
            vm.expungeAt.map { $0 < rig.context.time.wall() } == true ? true : nil
        }
        try await Retention(rig.context).sweep()
        try await expectNothingLeft(of: vm, rig)
        let left = try await rig.vms.vms(ListQuery(limit: 500)).items.map(\.vm)
        #expect(left.count == 12)
        #expect(left.allSatisfy { $0.state == .destroyed })
    }

    @Test func `of a recovery and an expunge at once, one wins and the other changes nothing`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        var recoveries = 0
        var pauses = SplitMix(state: 7)
        for round in 0..<40 {
            let name = "v\(round)"
            let vm = try await rig.runningVM(name)
            _ = try await ended(try await rig.vms.destroy(name, isDeferrable: false, by: caller), rig)
            let id = vm.id.rawValue
            let random = (pauses.below(400), pauses.below(400))
            async let recovery: Job? = {
                try? await Task.sleep(for: .microseconds(random.0))
                return try? await rig.vms.recover(id, by: caller)
            }()
            async let expunge: Job? = {
                try? await Task.sleep(for: .microseconds(random.1))
                return try? await rig.vms.expunge(id, by: caller)
            }()
            let (recovered, expunged) = await (recovery, expunge)
            #expect((recovered == nil) != (expunged == nil), "round \(round)")
            if let expunged { _ = try await ended(expunged, rig) }
            #expect(try await isGone(vm, rig) == (recovered == nil), "round \(round)")
            #expect(rig.hosts.disks.contains(vm.id) == (recovered != nil), "round \(round)")
            if recovered != nil { recoveries += 1 }
        }
        #expect((1...39).contains(recoveries), "only one order was ever seen: the rounds do not race")
    }

    @Test func `a VM that was never started is gone at once, without any host`() async throws {
        let rig = try await Rig()
        let vm = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller).vm
        #expect(try await rig.vms.destroy("v", isDeferrable: false, by: caller).outcome == .destroyed)
        #expect(try await rig.vms.expunge("v", by: caller).outcome == .expunged)
        try await expectNothingLeft(of: vm, rig)
        #expect(try await rig.gcJobs().isEmpty)
    }

    // MARK: Both at once

    @Test(arguments: [true, false], [true, false])
    func `a delete that keeps nothing removes disk and record too`(isRunning: Bool, byDefault: Bool) async throws {
        let rig = try await Rig(tuning: { if byDefault { $0.keepDestroyed = .zero } })
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        if !isRunning { _ = try await ended(try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller), rig) }
        let operation = try await rig.vms.destroy("v", isDeferrable: false, expunges: !byDefault, by: caller)
        #expect(try await ended(operation, rig).outcome == .expunged)
        try await expectNothingLeft(of: vm, rig)
    }

    @Test func `deferred, it is destroying until its host is back, and then gone`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        try await rig.cut(rigHostA)
        await #expect(throws: Fault.self) {
            try await rig.vms.destroy("v", isDeferrable: false, expunges: true, by: caller)
        }
        let operation = try await rig.vms.destroy("v", isDeferrable: true, expunges: true, by: caller)
        #expect(operation.outcome == .deferred)
        #expect(try await rig.vm().state.label == .destroying)
        try await rig.connect(rigHostA)
        try await expectNothingLeft(of: vm, rig)
    }

    @Test func `a VM that is destroyed already is expunged by it`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        let again = await #expect(throws: Fault.self) {
            try await rig.vms.destroy(vm.id.rawValue, isDeferrable: false, by: caller)
        }
        #expect(again?.code == .invalidState)
        let operation = try await rig.vms.destroy("v", isDeferrable: false, expunges: true, by: caller)
        #expect(try await ended(operation, rig).outcome == .expunged)
        try await expectNothingLeft(of: vm, rig)
    }

    // MARK: What goes wrong

    @Test func `a lost answer defers it, and the job goes on`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        let isFirst = Mutex(true)
        rig.hosts.decideFate { _ in
            isFirst.withLock { isFirst in
                defer { isFirst = false }
                return isFirst ? .loseAnswer : .deliver
            }
        }
        #expect(try await ended(try await rig.vms.expunge("v", by: caller), rig).outcome == .deferred)
        try await expectNothingLeft(of: vm, rig)
    }

    @Test func `nobody waits for ever for a job that does not come to it`() async throws {
        let rig = try await Rig(tuning: { $0.stopLimit = .milliseconds(20) })
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        rig.gates.close("gc-delete-volume.before-command")
        #expect(try await ended(try await rig.vms.expunge("v", by: caller), rig).outcome == .deferred)
        #expect(try await rig.vm().operation == nil)
        rig.gates.open("gc-delete-volume.before-command")
        try await expectNothingLeft(of: vm, rig)
    }

    @Test func `the job cannot be called off, and says what would end it`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        _ = try await destroyedVM(rig)
        try await rig.cut(rigHostA)
        _ = try await rig.vms.expunge("v", by: caller)
        let job = try #require(try await rig.gcJobs().first).id.rawValue
        let fault = await #expect(throws: Fault.self) { try await rig.jobs.cancelGCJob(job, by: caller) }
        #expect(fault?.code == .invalidState)
        #expect(fault?.hint?.contains("roost host delete a --force") == true)
        let why = try await rig.jobs.explain(job)
        #expect(why.cancelledBy == ["deleting host a with --force"])
        #expect(why.doing.contains("root disk"))
    }

    @Test func `deleting the host ends it, and says what stays behind`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        try await rig.cut(rigHostA)
        _ = try await rig.vms.expunge("v", by: caller)
        let inUse = await #expect(throws: Fault.self) {
            try await rig.hostService.delete("a", isForced: false, by: caller)
        }
        #expect(inUse?.code == .hostInUse)
        _ = try await rig.hostService.delete("a", isForced: true, by: caller)
        #expect(try await isGone(vm, rig))
        #expect(try await rig.endedGCJob().outcome == .hostDeleted)
        let last = try #require(try await rig.events(of: vm.id).last { $0.kind == "vm.expunged" })
        #expect(last.message.contains("Left behind on deleted host a"))
    }

    @Test func `the operation of an expunge ends with the host's record`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        rig.gates.close("gc-delete-volume.before-command")
        let operation = try await rig.vms.expunge("v", by: caller)
        _ = try await eventually("the job is held") {
            rig.gates.isHolding("gc-delete-volume.before-command") ? true : nil
        }
        _ = try await rig.hostService.delete("a", isForced: true, by: caller)
        let over = try await rig.jobs.operation(operation.id.rawValue)
        #expect(over.outcome == .hostDeleted)
        #expect(try await isGone(vm, rig))
        rig.gates.open("gc-delete-volume.before-command")
    }

    @Test func `of a VM whose host is deleted already, only the record is left to remove`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        _ = try await rig.hostService.delete("a", isForced: false, by: caller)
        #expect(try await rig.vms.expunge("v", by: caller).outcome == .hostDeleted)
        #expect(try await isGone(vm, rig))
        #expect(try await rig.gcJobs().isEmpty)
    }

    @Test func `a stop job goes on when the record is gone, because nobody else would end the domain`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        let vm = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.hostService.fence("a", proof: "wrongly", by: caller)
        _ = try await rig.start(on: "b")
        _ = try await ended(try await rig.vms.destroy("v", isDeferrable: false, by: caller), rig)
        _ = try await rig.hostService.delete("b", isForced: true, by: caller)
        #expect(try await rig.vms.expunge("v", by: caller).outcome == .hostDeleted)
        #expect(try await isGone(vm, rig))
        #expect(rig.hosts.host(rigHostA).domains == [vm.id: Epoch(1)])
        try await rig.connect(rigHostA)
        #expect(try await rig.endedGCJob().kind == .stopVM)
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
    }

    @Test func `a fence leaves the disk to its job, should the host come back`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await destroyedVM(rig)
        try await rig.cut(rigHostA)
        _ = try await rig.vms.expunge("v", by: caller)
        _ = try await rig.hostService.fence("a", proof: "off", by: caller)
        #expect(try await rig.vm().state == .expunging)
        try await rig.connect(rigHostA)
        try await expectNothingLeft(of: vm, rig)
    }

    @Test func `while a domain of the VM may linger elsewhere its disk and record stay`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        let vm = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.hostService.fence("a", proof: "wrongly", by: caller)
        _ = try await rig.start(on: "b")
        let operation = try await rig.vms.destroy("v", isDeferrable: false, expunges: true, by: caller)
        #expect(try await ended(operation, rig).outcome == .deferred)
        let why = try await eventually("the job says why") {
            try await rig.gcJobs().first { $0.kind == .deleteVolume && $0.lastError != nil }?.lastError?.message
        }
        #expect(why.contains("host a"))
        #expect(try await rig.vm().state == .expunging)
        #expect(rig.hosts.host(rigHostA).domains == [vm.id: Epoch(1)])
        try await rig.connect(rigHostA)
        try await expectNothingLeft(of: vm, rig)
    }

    @Test func `an image stays as long as a destroyed VM may need it again`() async throws {
        let rig = try await Rig()
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        _ = try await rig.vms.destroy("v", isDeferrable: false, by: caller)
        let vm = try await rig.vm()
        let kept = try await rig.database.read { try $0.vms(madeFrom: vm.image, limit: 9) }
        #expect(kept == [vm])
        _ = try await rig.vms.expunge("v", by: caller)
        let left = try await rig.database.read { try $0.vms(madeFrom: vm.image, limit: 9) }
        #expect(left.isEmpty)
    }
}
