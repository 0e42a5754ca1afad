import ControlPlane
import Domain
import Foundation
import Platform
import Synchronization
import Testing

/// Records that are older than what the hosts know.
@Suite struct RecoveryTests {
    private let caller = Rig.operatorCaller

    private func service(_ rig: Rig) -> RecoveryService { RecoveryService(rig.context) }

    /// A rig with both hosts connected and an engine.
    private func started() async throws -> (Rig, Task<Void, any Error>) {
        let rig = try await Rig()
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        return (rig, rig.startEngine())
    }

    /// The records are put back: what `rig` holds is an old copy from now on, and its hosts dial again.
    private func restore(_ rig: Rig, hosts: [HostID] = [rigHostA, rigHostB]) async throws {
        try await rig.database.write("copy") { try $0.beginRecovery("A test.", isCopy: true) }
        for host in hosts { try await rig.connect(host) }
    }

    /// What happened on a host since the copy was made.
    private func runs(_ vm: VM, _ epoch: Int64, on host: HostID, in rig: Rig) {
        rig.hosts.change(host) {
            $0.domains[vm.id] = Epoch(epoch)
            $0.highest[vm.id] = Epoch(epoch)
        }
    }

    private func isGone(_ vm: VM, from host: HostID, in rig: Rig) {
        rig.hosts.change(host) { $0.domains[vm.id] = nil }
    }

    private func fates(_ rig: Rig) async throws -> [String: RestoredFate] {
        let report = try await service(rig).report()
        return Dictionary(report.vms.map { ($0.vm.name, $0.fate) }) { first, _ in first }
    }

    @Test func `a domain that runs as recorded is confirmed, and absence alone never says stopped`() async throws {
        let (rig, engine) = try await started()
        defer { engine.cancel() }
        let same = try await rig.runningVM("same")
        let moved = try await rig.runningVM("moved")
        isGone(moved, from: rigHostA, in: rig)
        try await restore(rig, hosts: [rigHostA])
        #expect(try await rig.vm("same").state == same.state)
        let placement = try #require(moved.state.placement)
        #expect(try await rig.vm("moved").state == .unknown(placement, .recordsRestored))
        #expect(try await fates(rig) == ["moved": .waits])
        // The other host does not have it either: then nobody has.
        try await rig.connect(rigHostB)
        #expect(try await rig.vm("moved").state == .unknown(placement, .recordsRestored))
        #expect(try await fates(rig) == ["moved": .stopped])
    }

    @Test func `while Roost observes no job is taken up and nothing is sent`() async throws {
        let (rig, first) = try await started()
        let vm = try await rig.runningVM()
        first.cancel()
        _ = try? await first.value
        let time = CountedTime()
        let engine = Task { try await JobEngine(rig.context(time)).run() }
        defer { engine.cancel() }
        let log = rig.hosts.log.count
        try await restore(rig)
        let job = try await rig.database.write("late") { tx in
            try tx.enqueue(
                Job(
                    id: JobID(from: rig.context.ids), kind: .stopVM, vm: vm.id, host: rigHostA, epoch: vm.epoch,
                    payload: JobPayload(mode: .cold), wish: 9, nextAttemptAt: tx.now, requestedBy: "test",
                    createdAt: tx.now, updatedAt: tx.now))
        }
        // The engine has looked since: each look that finds nothing ends in a wait.
        let looks = time.sleeps
        rig.context.feed.committed(jobsTouched: true)
        _ = try await eventually("the engine has looked twice") { time.sleeps >= looks + 2 ? true : nil }
        try await rig.connect(rigHostA)
        #expect(try await rig.database.read { try $0.job(job.id)?.attempts } == 0)
        #expect(rig.hosts.log.count == log)
        #expect(try await rig.vm().state == vm.state)
        // Once accepted, it waits for a hand.
        _ = try await service(rig).accept(by: caller)
        #expect(try await rig.database.read { try $0.job(job.id)?.state } == .parked)
        #expect(rig.hosts.log.count == log)
    }

    @Test func `a command that was decided before is not sent once Roost observes`() async throws {
        let (rig, engine) = try await started()
        defer { engine.cancel() }
        _ = try await rig.runningVM()
        rig.gates.close("stop.before-command")
        let operation = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        _ = try await eventually("the stop is about to be sent") {
            rig.gates.isHolding("stop.before-command") ? true : nil
        }
        let log = rig.hosts.log.count
        try await rig.database.write("begin") { try $0.beginRecovery("A test.", isCopy: false) }
        rig.gates.open("stop.before-command")
        let job = try await eventually("the operation waits") { () -> Job? in
            let job = try await rig.jobs.operation(operation.id.rawValue)
            return job.state == .waiting ? job : nil
        }
        #expect(rig.hosts.log.count == log)
        #expect(rig.hosts.host(rigHostA).domains.count == 1)
        _ = try await service(rig).accept(by: caller)
        #expect(try await rig.jobs.operation(job.id.rawValue).outcome == .recordsRestored)
    }

    @Test func `accepting takes up what runs newer, settles what runs nowhere, and goes on above all epochs`()
        async throws
    {
        let (rig, engine) = try await started()
        defer { engine.cancel() }
        let same = try await rig.runningVM("same")
        let again = try await rig.runningVM("again")
        let moved = try await rig.runningVM("moved")
        let ended = try await rig.runningVM("ended")
        _ = try await rig.vms.create(NewVM(name: "late", image: "tiny", cpus: 1, memory: 128), by: caller)
        let late = try await rig.vm("late")
        runs(again, 4, on: rigHostA, in: rig)
        isGone(moved, from: rigHostA, in: rig)
        runs(moved, 2, on: rigHostB, in: rig)
        isGone(ended, from: rigHostA, in: rig)
        runs(late, 3, on: rigHostB, in: rig)
        try await restore(rig)
        let shown = try await fates(rig)
        #expect(
            shown == [
                "again": .adopted(Placement(host: rigHostA, epoch: Epoch(4))),
                "moved": .adopted(Placement(host: rigHostB, epoch: Epoch(2))), "ended": .stopped,
                "late": .adopted(Placement(host: rigHostB, epoch: Epoch(3))),
            ])
        _ = try await service(rig).accept(by: caller)
        for (name, host) in [("again", rigHostA), ("moved", rigHostB), ("late", rigHostB)] {
            let vm = try await eventually("\(name) is taken up") { () -> VM? in
                let vm = try await rig.vm(name)
                return vm.state.label == .running ? vm : nil
            }
            #expect(vm.state == .running(Placement(host: host, epoch: Epoch(1_000_001))))
            #expect(rig.hosts.host(host).domains[vm.id] == Epoch(1_000_001))
        }
        #expect(try await rig.vm("same").state == same.state)
        #expect(try await rig.vm("same").epoch == Epoch(1_000_001))
        #expect(try await rig.vm("ended").state == .stopped(.writtenOff))
        let started = try await rig.start("ended", on: "b")
        #expect(started.state == .running(Placement(host: rigHostB, epoch: Epoch(1_000_001))))
        let stopped = try await rig.vms.stop("same", StopRequest(mode: .cold), by: caller)
        #expect(try await rig.jobs.wait(for: stopped.id.rawValue, atMost: .seconds(30)).outcome == .stopped)
        let told = try await rig.database.read { try $0.events(after: 0, limit: 10_000) }
        let audit = try #require(told.first { $0.event.kind == "recovery.accepted" })
        #expect(audit.event.principal == "operator")
        #expect(audit.event.message.contains("3 adopted, 1 confirmed, 1 stopped"), "\(audit.event.message)")
        #expect(audit.id > 1_000_000)
    }

    @Test func `a VM that may run on a host that was not heard of is not started, deleted or expunged`() async throws {
        let (rig, engine) = try await started()
        defer { engine.cancel() }
        _ = try await rig.vms.create(NewVM(name: "rest", image: "tiny", cpus: 1, memory: 128), by: caller)
        let rest = try await rig.vm("rest")
        let away = try await rig.runningVM("away", on: "b")
        _ = try await rig.vms.create(NewVM(name: "kept", image: "tiny", cpus: 1, memory: 128), by: caller)
        _ = try await rig.vms.destroy("kept", isDeferrable: false, by: caller)
        let kept = try #require(try await rig.vms.vms(ListQuery(filters: ["name": "kept"])).items.first).vm
        try await rig.cut(rigHostB)
        // Since the copy, both were started on b.
        runs(rest, 5, on: rigHostB, in: rig)
        runs(away, 6, on: rigHostB, in: rig)
        try await restore(rig, hosts: [rigHostA])
        #expect(try await service(rig).report().awaited.map(\.name) == ["b"])
        #expect(try await rig.vms.vm("rest").waitingFor?.host == rigHostB)
        _ = try await service(rig).accept(by: caller)
        #expect(try await rig.vms.vm("rest").waitingFor?.reason == .recordsRestored)
        for refused in [
            await fault { _ = try await rig.vms.start("rest", on: "a", by: caller) },
            await fault { _ = try await rig.vms.destroy("rest", isDeferrable: true, by: caller) },
            await fault { _ = try await rig.vms.expunge(kept.id.rawValue, by: caller) },
            await fault { _ = try await rig.vms.start("away", on: "a", by: caller) },
        ] { #expect(refused?.code == .placementUnresolved, "\(String(describing: refused))") }
        #expect(
            await fault {
                _ = try await rig.vms.stop("away", StopRequest(mode: .cold, isDeferrable: true), by: caller)
            }?.code == .invalidState)
        // A VM of afterwards has nothing to fear.
        _ = try await rig.runningVM("fresh")
        // The host comes: what it runs is shown, and nothing is done to it.
        let log = rig.hosts.log.count
        try await rig.connect(rigHostB)
        for (name, epoch) in [("rest", 5), ("away", 6)] {
            let view = try await rig.vms.vm(name)
            #expect(view.conflicts.map(\.epoch) == [Epoch(Int64(epoch))])
            #expect(
                await fault { _ = try await rig.vms.start(name, on: "a", by: caller) }?.code == .placementUnresolved)
        }
        #expect(rig.hosts.log.count == log)
        _ = try await rig.vms.resolve("away", .adopt(host: "b"), by: caller)
        let back = try await eventually("it is taken up") { () -> VM? in
            let vm = try await rig.vm("away")
            return vm.state.label == .running ? vm : nil
        }
        #expect(back.state == .running(Placement(host: rigHostB, epoch: Epoch(1_000_001))))
    }

    @Test func `the last host that is heard of, or proven off, settles what runs nowhere`() async throws {
        for isFenced in [false, true] {
            let (rig, engine) = try await started()
            defer { engine.cancel() }
            let vm = try await rig.runningVM()
            isGone(vm, from: rigHostA, in: rig)
            try await rig.cut(rigHostB)
            try await restore(rig, hosts: [rigHostA])
            _ = try await service(rig).accept(by: caller)
            #expect(try await rig.vm().state.waiting == .recordsRestored)
            if isFenced {
                _ = try await rig.hostService.fence("b", proof: "unplugged", by: caller)
            } else {
                try await rig.connect(rigHostB)
            }
            #expect(try await rig.vm().state == .stopped(.writtenOff))
        }
    }

    @Test func `an agent that has heard of later records makes the server observe, and an older one does not`()
        async throws
    {
        let (rig, engine) = try await started()
        defer { engine.cancel() }
        let vm = try await rig.runningVM()
        let point = try await rig.database.read { try $0.recordPoint() }
        try await hello(rig, heard: point)
        #expect(try await service(rig).report().recovery.observing == nil)
        let later = RecordPoint(generation: 0, event: point.event + 1000)
        try await hello(rig, heard: later)
        #expect(try await service(rig).report().recovery.observing?.reason.contains("host b") == true)
        #expect(try await rig.vm().state.waiting == .recordsRestored)
        #expect(await fault { try await service(rig).checkActing() }?.code == .recovering)
        try await rig.connect(rigHostA)
        #expect(try await rig.vm().state == vm.state)
        _ = try await service(rig).accept(by: caller)
        // What it heard of is not later than an accepted copy.
        try await hello(rig, heard: later)
        #expect(try await service(rig).report().recovery.observing == nil)
        #expect(try await rig.database.read { try $0.recordPoint() } > later)
        #expect(await fault { _ = try await service(rig).accept(by: caller) }?.code == .invalidState)
    }

    @Test func `while Roost observes nothing is expunged, and an accepted VM is kept for its whole time anew`()
        async throws
    {
        let rig = try await Rig { $0.keepDestroyed = .milliseconds(1) }
        try await rig.connect(rigHostA)
        let vm = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller).vm
        _ = try await rig.vms.destroy("v", isDeferrable: false, by: caller)
        try await restore(rig, hosts: [rigHostA])
        _ = try await eventually("its time is over") {
            try await rig.database.read { tx in try tx.destroyedVMs(keptUntil: tx.now, limit: 1).isEmpty ? nil : true }
        }
        try await Retention(rig.context).sweep()
        #expect(try await rig.record(of: vm.id)?.state == .destroyed)
        let accepted = try await rig.database.read { $0.now }
        _ = try await service(rig).accept(by: caller)
        let until = try #require(try await rig.record(of: vm.id)?.expungeAt)
        #expect(until > accepted)
        _ = try await eventually("its time is over again") {
            try await rig.database.read { tx in try tx.destroyedVMs(keptUntil: tx.now, limit: 1).isEmpty ? nil : true }
        }
        // It may have been recovered and run on a host that was not heard of.
        try await Retention(rig.context).sweep()
        #expect(try await rig.record(of: vm.id)?.state == .destroyed)
        try await rig.connect(rigHostB)
        try await Retention(rig.context).sweep()
        #expect(try await rig.record(of: vm.id) == nil)
    }

    @Test func `while Roost observes no domain that was moved by hand is taken up`() async throws {
        let (rig, engine) = try await started()
        defer { engine.cancel() }
        let vm = try await rig.runningVM()
        let placement = try #require(vm.state.placement)
        try await rig.database.write("moved") { tx in
            guard var row = try tx.vm(vm.id) else { return }
            row.state = .unknown(placement, .movedAway)
            _ = try tx.update(row, where: VMCondition(revision: row.revision))
        }
        isGone(vm, from: rigHostA, in: rig)
        runs(vm, 1, on: rigHostB, in: rig)
        try await restore(rig)
        #expect(try await rig.gcJobs().isEmpty)
        #expect(try await rig.vm().state == .unknown(placement, .movedAway))
        _ = try await service(rig).accept(by: caller)
        try await rig.connect(rigHostB)
        let found = try await eventually("it is taken up") { () -> VM? in
            let vm = try await rig.vm()
            return vm.state.label == .running ? vm : nil
        }
        #expect(found.state.placement?.host == rigHostB)
    }

    @Test func `a host with a certificate and no record gets one, after a restore and only then`() async throws {
        let (rig, engine) = try await started()
        defer { engine.cancel() }
        let stranger = HostID(trusted: "99999999-0000-4000-8000-00000000000f")
        #expect(try await rig.sessions.isAdmitted(stranger) == false)
        #expect(await fault { try await rig.connect(stranger) }?.code == .hostDeleted)
        try await restore(rig)
        #expect(try await rig.sessions.isAdmitted(stranger))
        let vm = try await rig.runningCopy("v", on: stranger)
        try await rig.connect(stranger)
        let host = try await rig.hostService.host("restored-99999999")
        #expect(host.host.state == .disabled)
        #expect(try await fates(rig)["v"] == .adopted(Placement(host: stranger, epoch: Epoch(3))), "\(vm)")
    }

    private func hello(_ rig: Rig, heard: RecordPoint) async throws {
        let hello = AgentHello(
            host: rigHostB, instance: "agent",
            facts: HostFacts(
                cpus: 8, memory: 8192, agentVersion: "test",
                hypervisor: HypervisorFacts(domainType: "qemu", reason: "", libvirtVersion: "", qemuVersion: ""),
                pool: rig.hosts.host(rigHostB).pool), heard: heard)
        let grant = try await rig.sessions.open(hello)
        rig.hosts.change(rigHostB) { $0.session = grant.session }
        try await rig.sessions.established(grant, hello: hello, inventory: rig.hosts.inventory(rigHostB))
    }

    private func fault(_ body: () async throws -> Void) async -> Fault? {
        do { try await body() } catch { return error as? Fault }
        return nil
    }
}

/// Counts how often somebody began to wait.
private final class CountedTime: TimeSource {
    private let count = Mutex(0)
    var sleeps: Int { count.withLock { $0 } }

    func wall() -> Timestamp { SystemTime().wall() }
    func monotonic() -> Duration { SystemTime().monotonic() }

    func sleep(for duration: Duration) async throws {
        count.withLock { $0 += 1 }
        try await SystemTime().sleep(for: duration)
    }
}

extension Rig {
    /// The same control plane by another clock.
    fileprivate func context(_ time: any TimeSource) -> Context {
        Context(
            database: context.database, sessions: context.sessions, time: time, ids: context.ids,
            random: context.random, faults: context.faults, feed: context.feed, settings: context.settings,
            logger: context.logger)
    }

    /// A VM that is recorded and was never started, of which `host` runs epoch 3.
    fileprivate func runningCopy(_ name: String, on host: HostID) async throws -> VM {
        let vm = try await vms.create(NewVM(name: name, image: "tiny", cpus: 1, memory: 128), by: Self.operatorCaller)
            .vm
        hosts.change(host) { $0.domains[vm.id] = Epoch(3) }
        return vm
    }
}
