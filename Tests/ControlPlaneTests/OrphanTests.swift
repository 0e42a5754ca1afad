import ControlPlane
import Domain
import Testing

/// What nobody owns is shown, and removed or adopted on command only.
@Suite struct OrphanTests {
    private let stray = VMID(trusted: "eeeeeeee-0000-4000-8000-00000000000e")
    private let caller = Rig.operatorCaller

    /// Host A has a domain of epoch 7 of a VM that no record knows, with a disk and a log.
    private func rig(domain: Bool = true, disk: Bool = true) async throws -> Rig {
        let rig = try await Rig()
        try await rig.database.write("seed") { tx in
            try tx.insert(
                Image(
                    id: ImageID(trusted: "dddddddd-0000-4000-8000-000000000005"), name: "debian", kind: .disk,
                    commandLine: "",
                    files: [ImageFile(part: .disk, format: .qcow2, size: 1, virtualSize: 1, sha256: "00")],
                    createdAt: tx.now, updatedAt: tx.now))
        }
        let stray = stray
        rig.hosts.change(rigHostA) { host in
            if domain { host.domains[stray] = Epoch(7) }
            host.highest[stray] = Epoch(7)
            if disk { host.files.append(HeldFile(vm: stray, kind: .rootDisk, bytes: 4096)) }
            host.files.append(HeldFile(vm: stray, kind: .consoleLog, bytes: 12))
        }
        try await rig.connect(rigHostA)
        return rig
    }

    private func remove(_ epoch: Int64, in rig: Rig) async throws -> Job {
        try await rig.hostService.removeOrphan("a", of: stray.rawValue, epoch: Epoch(epoch), by: caller)
    }

    private func adopt(_ adoption: Adoption, in rig: Rig) async throws -> VM {
        try await rig.hostService.adopt("a", stray.rawValue, as: adoption, by: caller).vm
    }

    private func refusedRemoval(_ epoch: Int64, of orphan: String? = nil, in rig: Rig) async -> Fault? {
        await #expect(throws: Fault.self) {
            try await rig.hostService.removeOrphan(
                "a", of: orphan ?? stray.rawValue, epoch: Epoch(epoch), by: caller)
        }
    }

    private func refusedAdoption(_ adoption: Adoption, in rig: Rig) async -> Fault? {
        await #expect(throws: Fault.self) {
            try await rig.hostService.adopt("a", stray.rawValue, as: adoption, by: caller)
        }
    }

    private func refusedList(_ host: String, in rig: Rig) async -> Fault? {
        await #expect(throws: Fault.self) { try await rig.hostService.orphans(on: host) }
    }

    @Test func `orphans are removed in two steps, each by its epoch, and nothing goes by itself`() async throws {
        let rig = try await rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let found = try await rig.hostService.orphans(on: "a")
        #expect(found.map(\.kind) == [.domain, .rootDisk, .consoleLog])
        #expect(found.map(\.epoch) == [Epoch(7), Epoch(7), Epoch(7)])
        #expect(try await rig.gcJobs().isEmpty)
        #expect(await refusedRemoval(6, in: rig)?.code == .staleEpoch)

        let stop = try await remove(7, in: rig)
        #expect(stop.kind == .stopVM)
        let stopped = try await eventually("the domain is stopped") {
            try await rig.gcJobs().first { $0.id == stop.id && $0.state.isEnded }
        }
        #expect(stopped.outcome == .stopped)
        #expect(rig.hosts.host(rigHostA).domains.isEmpty)
        #expect(try await rig.hostService.host("a").sightings.isEmpty)
        #expect(try await rig.hostService.orphans(on: "a").map(\.kind) == [.rootDisk, .consoleLog])

        let clear = try await remove(7, in: rig)
        #expect(clear.kind == .deleteVolume)
        _ = try await eventually("the files are gone") {
            try await rig.gcJobs().first { $0.id == clear.id && $0.outcome == .destroyed }
        }
        #expect(rig.hosts.host(rigHostA).files.isEmpty)
        #expect(try await rig.hostService.orphans(on: "a").isEmpty)
        #expect(await refusedRemoval(7, in: rig)?.kind == .notFound)
        let events = try await rig.database.read { try $0.events(after: 0, limit: 100).map(\.event) }
        #expect(events.filter { $0.kind == "host.orphan" }.map(\.principal) == ["operator", "operator"])
    }

    @Test func `while a job is at it, an orphan is no orphan, and a repeated request is the same job`() async throws {
        let rig = try await rig()
        let keyed = Caller(principal: caller.principal, request: Caller.RequestKey(key: "k", digest: "d"))
        let job = try await rig.hostService.removeOrphan("a", of: stray.rawValue, epoch: Epoch(7), by: keyed)
        let again = try await rig.hostService.removeOrphan("a", of: stray.rawValue, epoch: Epoch(7), by: keyed)
        #expect(again.id == job.id)
        // Its files cannot go while its domain runs.
        #expect(try await rig.hostService.orphans(on: "a").map(\.kind) == [.rootDisk, .consoleLog])
        #expect(await refusedRemoval(7, in: rig)?.code == .invalidState)
        #expect(
            await refusedAdoption(Adoption(name: "v", image: "debian"), in: rig)?.code
                == .operationInProgress)
    }

    @Test func `what a record owns is not removed, and what cannot be asked is not known`() async throws {
        let rig = try await rig(domain: false, disk: false)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let vm = try await rig.runningVM()
        rig.hosts.change(rigHostA) { $0.files.append(HeldFile(vm: vm.id, kind: .consoleLog, bytes: 1)) }
        #expect(try await rig.hostService.orphans(on: "a").allSatisfy { $0.vm == stray })
        let owned = await refusedRemoval(1, of: vm.id.rawValue, in: rig)
        #expect(owned?.code == .invalidState)
        #expect(owned?.message.contains("belongs to VM v") == true)
        try await rig.cut(rigHostA)
        #expect(await refusedList("a", in: rig)?.code == .hostUnreachable)
        #expect(await refusedList("nobody", in: rig)?.kind == .notFound)
        #expect(
            await refusedRemoval(1, of: "web", in: rig)?.kind == .notFound)
    }

    @Test func `an adopted domain is a running VM with its id and epoch, and lives like any other`() async throws {
        let rig = try await rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        #expect(try await rig.hostService.host("a").sightings.count == 1)
        let vm = try await adopt(Adoption(name: "found", image: "debian"), in: rig)
        #expect(vm.id == stray)
        #expect(vm.state == .running(Placement(host: rigHostA, epoch: Epoch(7))))
        #expect(vm.epoch == Epoch(7))
        #expect([vm.cpus, vm.memory] == [2, 256])
        #expect(vm.pool == rig.hosts.host(rigHostA).pool)
        #expect(try await rig.hostService.host("a").sightings.isEmpty)
        #expect(try await rig.hostService.host("a").allocated == Allocation(cpus: 2, memory: 256))
        #expect(try await rig.hostService.orphans(on: "a").isEmpty)

        let stop = try await rig.vms.stop("found", StopRequest(mode: .cold), by: caller)
        #expect(try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60)).outcome == .stopped)
        #expect(try await rig.start("found", on: "a").state == .running(Placement(host: rigHostA, epoch: Epoch(8))))
        #expect(
            await refusedAdoption(Adoption(name: "x", image: "debian"), in: rig)?.code == .invalidState)
    }

    @Test func `an adopted disk is a stopped VM whose next epoch is new`() async throws {
        let rig = try await rig(domain: false)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        for missing in [
            Adoption(name: "v", image: "debian", memory: 64), Adoption(name: "v", image: "debian", cpus: 1),
        ] {
            #expect(await refusedAdoption(missing, in: rig)?.code == .invalidField)
        }
        let wrong = await refusedAdoption(Adoption(name: "v", image: "tiny", cpus: 1, memory: 64), in: rig)
        #expect(wrong?.field == "image")
        let vm = try await adopt(Adoption(name: "v", image: "debian", cpus: 1, memory: 64), in: rig)
        #expect(vm.state == .stopped(.foundGone))
        #expect(try await rig.start(on: "a").state.placement?.epoch == Epoch(8))
    }

    @Test func `a log alone is no VM`() async throws {
        let rig = try await rig(domain: false, disk: false)
        let fault = await refusedAdoption(Adoption(name: "v", image: "tiny", cpus: 1, memory: 64), in: rig)
        #expect(fault?.code == .invalidState)
    }

    @Test func `a domain that ends while it is adopted is not recorded as running`() async throws {
        let rig = try await rig()
        let stray = stray
        rig.hosts.afterHoldings { host in host.domains[stray] = nil }
        let vm = try await adopt(Adoption(name: "v", image: "debian"), in: rig)
        #expect(vm.state == .stopped(.foundGone))
    }

    @Test func `a domain whose host is lost while it is adopted is not recorded as running`() async throws {
        let rig = try await rig()
        // The server takes note of the loss while the agent's answer is on its way.
        try await rig.sessions.closed(rigHostA, session: rig.hosts.host(rigHostA).session, reason: "test")
        let vm = try await adopt(Adoption(name: "v", image: "debian"), in: rig)
        #expect(vm.state == .unknown(Placement(host: rigHostA, epoch: Epoch(7)), .hostDisconnected))
    }

    @Test func `a disk is neither removed nor adopted while another host of its pool may run it`() async throws {
        let rig = try await rig(domain: false)
        let stray = stray
        let adoption = Adoption(name: "v", image: "debian", cpus: 1, memory: 64)
        rig.hosts.change(rigHostB) { $0.domains[stray] = Epoch(9) }
        try await rig.connect(rigHostB)
        // Host B shows it.
        #expect(await refusedRemoval(7, in: rig)?.code == .placementUnresolved)
        #expect(await refusedAdoption(adoption, in: rig)?.code == .placementUnresolved)
        // Host B showed none, and cannot be asked now.
        rig.hosts.change(rigHostB) { $0.domains[stray] = nil }
        try await rig.connect(rigHostB)
        try await rig.cut(rigHostB)
        let unseen = await refusedRemoval(7, in: rig)
        #expect(unseen?.code == .placementUnresolved)
        #expect(unseen?.message.contains("Host b") == true)
        #expect(await refusedAdoption(adoption, in: rig)?.code == .placementUnresolved)
        _ = try await rig.hostService.fence("b", proof: "unplugged", by: caller)
        #expect(try await adopt(adoption, in: rig).state == .stopped(.foundGone))
    }

    @Test func `a removal looks again: what has got an owner meanwhile stays`() async throws {
        let rig = try await rig(domain: false)
        let stray = stray
        let job = try await remove(7, in: rig)
        try await rig.database.write("owner") { tx in
            try tx.insert(
                VM(
                    id: stray, name: "v", image: ImageID(trusted: "dddddddd-0000-4000-8000-000000000005"), cpus: 1,
                    memory: 64, state: .stopped(.requested), epoch: Epoch(7), pool: nil, createdAt: tx.now,
                    updatedAt: tx.now))
        }
        let engine = rig.startEngine()
        defer { engine.cancel() }
        #expect(try await rig.endedGCJob().outcome == .superseded)
        #expect(try await rig.endedGCJob().id == job.id)
        #expect(rig.hosts.host(rigHostA).files.count == 2)
    }

    @Test func `a removal looks again: a disk stays while a domain is seen on another host`() async throws {
        let rig = try await rig(domain: false)
        let stray = stray
        _ = try await remove(7, in: rig)
        rig.hosts.change(rigHostB) { $0.domains[stray] = Epoch(9) }
        try await rig.connect(rigHostB)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        #expect(try await rig.endedGCJob().outcome == .superseded)
        #expect(rig.hosts.host(rigHostA).files.count == 2)
    }

    @Test func `a domain of a VM that is placed elsewhere is stopped, and its record left alone`() async throws {
        let rig = try await rig(domain: false, disk: false)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostB)
        let vm = try await rig.runningVM(on: "b")
        rig.hosts.change(rigHostA) { $0.domains[vm.id] = Epoch(0).next }
        let orphan = try #require(try await rig.hostService.orphans(on: "a").first { $0.vm == vm.id })
        #expect(orphan.reason == .placedElsewhere)
        _ = try await rig.hostService.removeOrphan("a", of: vm.id.rawValue, epoch: Epoch(1), by: caller)
        #expect(try await rig.endedGCJob().host == rigHostA)
        #expect(rig.hosts.host(rigHostA).domains[vm.id] == nil)
        #expect(try await rig.vm().state == vm.state)
    }
}
