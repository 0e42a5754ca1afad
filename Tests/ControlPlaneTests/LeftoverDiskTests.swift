import ControlPlane
import Domain
import Testing

/// Disks that no record owns any more: the one that a move left behind, and those of VMs that are gone.
@Suite struct LeftoverDiskTests {
    private let caller = Rig.operatorCaller
    private let poolA = SimpleHosts.Host().pool
    private let poolB = PoolID(trusted: "99999999-0000-4000-8000-000000000002")
    private let beforeRemoval = "gc-delete-volume.before-command"

    /// VM `v` with a root disk runs on A; B has a pool of its own.
    private func withRig(_ body: (Rig) async throws -> Void) async throws {
        let rig = try await Rig()
        try await rig.database.write("seed") { tx in
            try tx.insert(
                Image(
                    id: ImageID(trusted: "dddddddd-0000-4000-8000-000000000005"), name: "debian", kind: .disk,
                    commandLine: "",
                    files: [ImageFile(part: .disk, format: .qcow2, size: 1, virtualSize: 1, sha256: "00")],
                    createdAt: tx.now, updatedAt: tx.now))
        }
        rig.hosts.change(rigHostB) { $0.pool = poolB }
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.vms.create(NewVM(name: "v", image: "debian", cpus: 1, memory: 128), by: caller)
        let vm = try await rig.start(on: "a")
        rig.hosts.change(rigHostA) { $0.files.append(HeldFile(vm: vm.id, kind: .rootDisk, bytes: 4096)) }
        try await body(rig)
    }

    private func ended(_ operation: Job, _ rig: Rig) async throws -> Job {
        try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
    }

    private func move(to host: String, _ rig: Rig) async throws {
        let request = MigrateRequest(host: host, options: MigrationOptions(copiesStorage: true))
        #expect(try await ended(try await rig.vms.migrate("v", request, by: caller), rig).outcome == .migrated)
    }

    /// `v` has moved to B with its disk, and A went away before the one left there was removed.
    private func moveAndLoseSource(_ rig: Rig) async throws -> Job {
        rig.gates.close(beforeRemoval)
        try await move(to: "b", rig)
        _ = try await eventually("it is to be removed") { rig.gates.isHolding(beforeRemoval) ? true : nil }
        try await rig.cut(rigHostA)
        rig.gates.open(beforeRemoval)
        return try await eventually("the job waits") {
            try await rig.gcJobs().first { $0.state == .waiting && $0.host == rigHostA && $0.lastError != nil }
        }
    }

    private func end(of job: Job, _ rig: Rig) async throws -> JobOutcome? {
        try await eventually("the job ends") {
            let now = try await rig.jobs.gcJob(job.id.rawValue)
            return now.state.isEnded ? now : nil
        }.outcome
    }

    private func expectRunsOnB(_ rig: Rig, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let vm = try await rig.vm()
        #expect(vm.state == .running(Placement(host: rigHostB, epoch: Epoch(2))), sourceLocation: sourceLocation)
        #expect(vm.pool == poolB, sourceLocation: sourceLocation)
        #expect(vm.operation == nil, sourceLocation: sourceLocation)
        #expect(rig.hosts.host(rigHostB).domains == [vm.id: Epoch(2)], sourceLocation: sourceLocation)
        #expect(rig.hosts.disks(in: poolB) == [vm.id], sourceLocation: sourceLocation)
    }

    @Test func `a move that copies the disk leaves none behind, and the guest goes on untouched`() async throws {
        try await withRig { rig in
            #expect(rig.hosts.disks(in: poolA).count == 1)
            try await move(to: "b", rig)
            let job = try await rig.endedGCJob()
            #expect((job.kind, job.host, job.epoch) == (.deleteVolume, rigHostA, Epoch(1)))
            #expect(job.outcome == .destroyed)
            #expect(rig.hosts.log.suffix(3) == ["B prepare-migration 2", "A migrate 1", "A destroy 1"])
            #expect(rig.hosts.disks(in: poolA).isEmpty)
            #expect(try await rig.hostService.orphans(on: "a").isEmpty)
            try await expectRunsOnB(rig)
        }
    }

    @Test func `what a move left waits for its host, and goes although the VM is expunged by then`() async throws {
        try await withRig { rig in
            let job = try await moveAndLoseSource(rig)
            let vm = try await rig.vm()
            #expect(try await rig.jobs.explain(job.id.rawValue).doing.contains("No record owns what lies there."))
            #expect(
                try await ended(try await rig.vms.destroy("v", isDeferrable: false, expunges: true, by: caller), rig)
                    .state.isEnded)
            _ = try await eventually("the record is gone") { try await rig.record(of: vm.id) == nil ? true : nil }
            #expect(rig.hosts.disks(in: poolB).isEmpty)
            #expect(rig.hosts.disks(in: poolA) == [vm.id])
            try await rig.connect(rigHostA)
            #expect(try await end(of: job, rig) == .destroyed)
            #expect(rig.hosts.disks.isEmpty)
        }
    }

    @Test func `the removal of what a move left does not end the record of the VM, though it is expunged`() async throws
    {
        try await withRig { rig in
            let job = try await moveAndLoseSource(rig)
            let vm = try await rig.vm()
            try await rig.cut(rigHostB)
            _ = try await rig.vms.destroy("v", isDeferrable: true, expunges: true, by: caller)
            try await rig.hostService.fenceForTest("b", by: caller)
            #expect(try await rig.record(of: vm.id)?.state == .expunging)
            try await rig.connect(rigHostA)
            #expect(try await end(of: job, rig) == .destroyed)
            #expect(rig.hosts.disks(in: poolA).isEmpty)
            #expect(try await rig.record(of: vm.id)?.state == .expunging)
            try await rig.connect(rigHostB)
            _ = try await eventually("the record is gone") { try await rig.record(of: vm.id) == nil ? true : nil }
            #expect(rig.hosts.disks.isEmpty)
        }
    }

    @Test func `a removal that comes late does not touch the disk of a VM that has come back`() async throws {
        try await withRig { rig in
            rig.gates.close(beforeRemoval)
            try await move(to: "b", rig)
            _ = try await eventually("it is to be removed") { rig.gates.isHolding(beforeRemoval) ? true : nil }
            try await move(to: "a", rig)
            rig.gates.open(beforeRemoval)
            let jobs = try await eventually("both removals have ended") {
                let jobs = try await rig.gcJobs()
                return jobs.count == 2 && jobs.allSatisfy { $0.state.isEnded } ? jobs : nil
            }
            #expect(jobs.first { $0.host == rigHostA }?.outcome == .superseded)
            #expect(jobs.first { $0.host == rigHostB }?.outcome == .destroyed)
            let vm = try await rig.vm()
            #expect(vm.state == .running(Placement(host: rigHostA, epoch: Epoch(3))))
            #expect(rig.hosts.disks(in: poolA) == [vm.id])
            #expect(rig.hosts.disks(in: poolB).isEmpty)
        }
    }

    @Test func `a disk whose removal was cancelled is an orphan, and can be removed as one`() async throws {
        try await withRig { rig in
            let job = try await moveAndLoseSource(rig)
            #expect(try await rig.jobs.explain(job.id.rawValue).cancelledBy.contains("roost gc delete \(job.id)"))
            #expect(try await rig.jobs.cancelGCJob(job.id.rawValue, by: caller).outcome == .cancelledByUser)
            try await rig.connect(rigHostA)
            let orphans = try await rig.hostService.orphans(on: "a")
            #expect(orphans.map(\.reason) == [.diskElsewhere])
            let vm = try await rig.vm()
            let removal = try await rig.hostService.removeOrphan(
                "a", of: vm.id.rawValue, epoch: #require(orphans.first?.epoch), by: caller)
            #expect(removal.kind == .deleteVolume)
            #expect(try await end(of: removal, rig) == .destroyed)
            #expect(rig.hosts.disks(in: poolA).isEmpty)
            try await expectRunsOnB(rig)
        }
    }

    @Test func `a destroy-vm job that was made to clear what a move left still does`() async throws {
        try await withRig { rig in
            let waiting = try await moveAndLoseSource(rig)
            _ = try await rig.jobs.cancelGCJob(waiting.id.rawValue, by: caller)
            let job = try await rig.database.write("enqueue") { tx in
                try tx.enqueue(
                    Job(
                        id: JobID(trusted: "eeeeeeee-0000-4000-8000-000000000005"), kind: .destroyVM, vm: waiting.vm,
                        host: rigHostA, epoch: Epoch(1),
                        payload: JobPayload(
                            isDeferrable: true, removesDisk: true,
                            command: CommandID(trusted: "eeeeeeee-0000-4000-8000-000000000006")),
                        wish: 0, nextAttemptAt: tx.now, requestedBy: "operator", createdAt: tx.now, updatedAt: tx.now))
            }
            try await rig.connect(rigHostA)
            #expect(try await end(of: job, rig) == .destroyed)
            #expect(rig.hosts.disks(in: poolA).isEmpty)
            try await expectRunsOnB(rig)
        }
    }

    @Test func `a destroy that keeps nothing takes nothing of a guest that has moved away by itself`() async throws {
        try await withRig { rig in
            rig.hosts.change(rigHostA) { $0.libvirtAnswers = false }
            let operation = try await rig.vms.destroy("v", isDeferrable: true, expunges: true, by: caller)
            #expect(try await ended(operation, rig).outcome == .deferred)
            let job = try #require(try await rig.gcJobs().first)
            #expect(job.kind == .destroyVM)
            rig.hosts.change(rigHostA) { $0.domains = [:] }
            let vm = try await rig.vm()
            try await rig.sessions.received(
                DomainChange(vm: vm.id, epoch: Epoch(1), state: .gone(.movedAway), sequence: 1_000), from: rigHostA,
                session: rig.hosts.host(rigHostA).session)
            #expect(try await rig.vm().state == .unknown(Placement(host: rigHostA, epoch: Epoch(1)), .movedAway))
            // Only now may the job, which tries again and again, reach libvirt.
            rig.hosts.change(rigHostA) { $0.libvirtAnswers = true }
            #expect(try await end(of: job, rig) == .superseded)
            #expect(rig.hosts.disks(in: poolA) == [vm.id])
            #expect(!rig.hosts.log.contains("A destroy 1"))
            #expect(try await rig.vm().expungeAt == nil)
        }
    }

    @Test func `the disk of a destroyed VM that is kept is its own`() async throws {
        try await withRig { rig in
            _ = try await ended(try await rig.vms.destroy("v", isDeferrable: false, by: caller), rig)
            let vm = try await rig.vm()
            #expect(vm.state == .destroyed)
            #expect(try await rig.hostService.orphans(on: "a").isEmpty)
            let fault = await #expect(throws: Fault.self) {
                try await rig.hostService.removeOrphan("a", of: vm.id.rawValue, epoch: Epoch(1), by: caller)
            }
            #expect(fault?.code == .invalidState)
            #expect(rig.hosts.disks(in: poolA) == [vm.id])
        }
    }

    @Test func `nothing is adopted of which a removal is under way, or has ended since the host was asked`()
        async throws
    {
        try await withRig { rig in
            let job = try await moveAndLoseSource(rig)
            _ = try await ended(
                try await rig.vms.destroy("v", isDeferrable: false, expunges: true, by: caller), rig)
            _ = try await eventually("the record is gone") { try await rig.record(of: job.vm) == nil ? true : nil }
            rig.gates.close(beforeRemoval)
            try await rig.connect(rigHostA)
            _ = try await eventually("it is to be removed") { rig.gates.isHolding(beforeRemoval) ? true : nil }
            let adoption = Adoption(name: "found", image: "debian", cpus: 1, memory: 128)
            let early = await #expect(throws: Fault.self) {
                try await rig.hostService.adopt("a", job.vm.rawValue, as: adoption, by: caller)
            }
            #expect(early?.code == .operationInProgress)

            rig.gates.close("orphan.before-adopt")
            let late = Task { [caller] in
                try await rig.hostService.adopt("a", job.vm.rawValue, as: adoption, by: caller)
            }
            _ = try await eventually("the host has listed it") {
                rig.gates.isHolding("orphan.before-adopt") ? true : nil
            }
            rig.gates.open(beforeRemoval)
            #expect(try await end(of: job, rig) == .destroyed)
            rig.gates.open("orphan.before-adopt")
            let fault = await #expect(throws: Fault.self) { try await late.value }
            #expect(fault?.code == .operationInProgress)
            #expect(try await rig.record(of: job.vm) == nil)
        }
    }
}

extension HostService {
    fileprivate func fenceForTest(_ host: String, by caller: Caller) async throws {
        _ = try await fence(host, proof: "pulled the plug", by: caller)
    }
}
