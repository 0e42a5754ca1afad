import ControlPlane
import Domain
import Testing

/// Every state with one placement that a report can end.
private let placed: [VMState] = [
    .running(RecordBench.here), .paused(RecordBench.here), .pausing(RecordBench.here), .resuming(RecordBench.here),
    .rebooting(RecordBench.here), .unknown(RecordBench.here, .hostDisconnected),
    .stopping(RecordBench.here, waiting: nil),
]

/// The rows of `docs/state-sync.md` that are about moves and about whole hosts. The VM is placed on A with epoch 5; a move
/// leads to B with epoch 6.
@Suite(.serialized) struct PeerRulesHostTests {
    private let here = RecordBench.here
    private let there = RecordBench.there
    private let move = RecordBench.move

    private func migrating(sourceLost: WaitReason? = nil, destinationLost: WaitReason? = nil) -> VMState {
        .migrating(Move(source: here, destination: there, sourceLost: sourceLost, destinationLost: destinationLost))
    }

    // MARK: 16 to 20: a VM that moves

    /// Nova skips it, oVirt tries again, ZStack says Running on A. Roost: A is confirmed, and nothing is decided by that.
    @Test(arguments: [DomainState.running, .paused, .starting, .moving])
    func `16 migrating x A has it: migrating`(shown: DomainState) async throws {
        let bench = try await RecordBench(migrating(sourceLost: .hostDisconnected), isUnderWay: true)
        try await bench.inventory(rigHostA, .domain(5, shown))
        try await bench.expect(migrating())
        try await bench.event(rigHostA, 5, shown)
        try await bench.expect(migrating())
    }

    /// oVirt and ZStack make B the owner at once. Roost: only the operation commits, once it has asked both.
    @Test(arguments: [DomainState.running, .paused, .starting, .moving])
    func `17 migrating x B has it: migrating`(shown: DomainState) async throws {
        let bench = try await RecordBench(migrating(destinationLost: .hostDisconnected), isUnderWay: true)
        try await bench.inventory(rigHostB, .domain(6, shown))
        try await bench.expect(migrating())
        try await bench.event(rigHostB, 6, shown)
        try await bench.expect(migrating())
    }

    /// oVirt hands it over unasked, or said Down until B's next round if B had spoken first; ZStack says Stopped. Roost: no
    /// order of the two reports, and no delay of B's next, makes it stopped.
    @Test(arguments: [true, false], [true, false])
    func `18, R05 migrating x absent on A: migrating, whichever came first`(
        destinationFirst: Bool, isEvent: Bool
    ) async throws {
        let bench = try await RecordBench(migrating(), isUnderWay: true)
        if destinationFirst { try await bench.inventory(rigHostB, .domain(6, .running)) }
        if isEvent {
            try await bench.event(rigHostA, 5, .gone(.movedAway))
        } else {
            try await bench.inventory(rigHostA, .nothing)
        }
        try await bench.expect(migrating())
        // B is silent for a long while, A says it again.
        try await bench.inventory(rigHostA, .nothing)
        try await bench.expect(migrating())
        try await bench.inventory(rigHostB, .domain(6, .running))
        try await bench.expect(migrating())
        #expect(try await bench.refusalOfStart() == .operationInProgress)
    }

    /// oVirt says Down on B's list, ZStack Stopped on the first absence. Roost: the operation ends it, holding both answers.
    @Test func `19 migrating x absent on both: migrating, until the operation has asked both`() async throws {
        let bench = try await RecordBench(migrating(), isUnderWay: true)
        try await bench.inventory(rigHostA, .nothing)
        try await bench.inventory(rigHostB, .nothing)
        try await bench.event(rigHostB, 6, .gone(.failed))
        try await bench.expect(migrating())
    }

    /// A move's end is one conditional write: if the VM has moved on meanwhile, its record is left alone.
    @Test func `19 the end of a move whose VM has moved on changes nothing`() async throws {
        for state in [VMState.running(there), .stopped(.requested), .running(here)] {
            let bench = try await RecordBench(state)
            let change = ChangeVMState(
                vm: bench.vm, event: .migrationSettled(.gone(.foundGone)), expectedHost: here.host,
                expectedEpoch: here.epoch)
            let reply = try await bench.rig.database.write("late") { try $0.apply(change) }
            guard case .superseded = reply else {
                Issue.record("the end of a move was applied to \(state)")
                continue
            }
            try await bench.expect(state)
        }
    }

    /// Nova clears the task when the service starts again, oVirt and ZStack say Unknown. Roost: migrating, and says for whom
    /// it waits; time alone changes nothing.
    @Test(arguments: [rigHostA, rigHostB])
    func `20 migrating x A or B silent: migrating, waits for it`(silent: HostID) async throws {
        let bench = try await RecordBench(migrating(), isUnderWay: true)
        try await bench.inventory(silent, .silence)
        let isSource = silent == rigHostA
        let lost = WaitReason.libvirtUnavailable
        try await bench.expect(isSource ? migrating(sourceLost: lost) : migrating(destinationLost: lost))
        try await bench.rig.cut(silent)
        let gone = WaitReason.hostDisconnected
        try await bench.expect(isSource ? migrating(sourceLost: gone) : migrating(destinationLost: gone))
        #expect(try await bench.record().state.waitingHost == silent)
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
    }

    /// A third epoch belongs to neither end.
    @Test func `migrating x another epoch: a conflict`() async throws {
        let bench = try await RecordBench(migrating(), isUnderWay: true)
        try await bench.event(rigHostA, 4, .running)
        try await bench.expect(migrating(), conflicts: [Placement(host: rigHostA, epoch: Epoch(4))])
        try await bench.event(rigHostB, 7, .running)
        try await bench.expect(
            migrating(destinationLost: .outcomeUnknown),
            conflicts: [Placement(host: rigHostA, epoch: Epoch(4)), Placement(host: rigHostB, epoch: Epoch(7))])
    }

    /// The peers call it stopped, or find it on B by B's report alone. Roost: A knows no more than that it went.
    @Test func `running x moved away behind Roost's back: unknown, whatever A says from then on`() async throws {
        let bench = try await RecordBench(.running(here))
        try await bench.event(rigHostA, 5, .gone(.movedAway))
        try await bench.expect(.unknown(here, .movedAway))
        try await bench.inventory(rigHostA, .nothing)
        try await bench.inventory(rigHostA, .silence)
        try await bench.rig.cut(rigHostA)
        try await bench.expect(.unknown(here, .movedAway))
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
    }

    // MARK: 27 to 30: a whole host

    /// Nova may start it, oVirt waits for a fence, ZStack says Stopped. Roost: a new boot id proves that nothing of the old
    /// boot runs, once its libvirt answers.
    @Test(arguments: placed)
    func `27 any x A booted anew: stopped, the host was rebooted`(state: VMState) async throws {
        let bench = try await RecordBench(state)
        try await bench.inventory(rigHostA, .silence, boot: "boot-2")
        #expect(try await bench.record().state.waiting == .libvirtUnavailable)
        try await bench.inventory(rigHostA, .nothing, boot: "boot-2")
        try await bench.expect(.stopped(.hostRebooted))
    }

    @Test func `27 starting x A booted anew: starting, as long as its command is under way`() async throws {
        let bench = try await RecordBench(.starting(here), isSeen: false, isUnderWay: true)
        try await bench.inventory(rigHostA, .nothing, boot: "boot-2")
        try await bench.expect(.starting(here))
    }

    /// All three keep the record. Roost says that it cannot see, lets nothing start elsewhere, and forgets no sighting.
    @Test(arguments: placed + [.starting(RecordBench.here)])
    func `28, R08 any x A's libvirt silent: unknown, and a wish waits`(state: VMState) async throws {
        let bench = try await RecordBench(state)
        try await bench.event(rigHostA, 4, .running)
        let leftover = [Placement(host: rigHostA, epoch: Epoch(4))]
        try await bench.inventory(rigHostA, .silence)
        let waits: VMState =
            state.label == .stopping
            ? .stopping(here, waiting: .libvirtUnavailable) : .unknown(here, .libvirtUnavailable)
        try await bench.expect(waits, conflicts: leftover)
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
        try await bench.inventory(rigHostA, .domain(5, .running))
        try await bench.expect(state.label == .stopping ? .stopping(here, waiting: nil) : .running(here))
    }

    /// R08 once more, by the agent's own word instead of a list.
    @Test func `28, R08 running x libvirt lost and back: unknown, then running`() async throws {
        let bench = try await RecordBench(.running(here))
        try await bench.inventory(rigHostA, .domain(5, .running))
        try await bench.rig.sessions.lostSight(of: rigHostA, session: 1)
        try await bench.expect(.unknown(here, .libvirtUnavailable))
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
        try await bench.inventory(rigHostA, .domain(5, .running))
        try await bench.expect(.running(here))
    }

    @Test(arguments: [VMState.stopped(.requested), .crashed(.failed), .created, .destroyed])
    func `28, 30 at rest x A silent or disconnected: as it is`(state: VMState) async throws {
        let bench = try await RecordBench(state)
        try await bench.inventory(rigHostA, .silence)
        try await bench.rig.cut(rigHostA)
        try await bench.expect(state)
    }

    /// Nova ignores it, oVirt and ZStack take every VM down. So does Roost, as libvirt answered; but for those that the agent
    /// is busy with.
    @Test func `29 any x empty list, libvirt up: each as absent, and all sightings are gone`() async throws {
        let bench = try await RecordBench(.running(here))
        let idle = try await bench.rig.vms.create(
            NewVM(name: "idle", image: "tiny", cpus: 1, memory: 128), by: Rig.operatorCaller)
        try await bench.rig.database.write("place") { tx in
            guard var vm = try tx.vm(idle.vm.id) else { return }
            vm.state = .running(Placement(host: rigHostA, epoch: Epoch(1)))
            vm.epoch = Epoch(1)
            vm.lastPlacement = vm.state.placement
            _ = try tx.update(vm, where: VMCondition(revision: vm.revision))
        }
        try await bench.event(rigHostA, 4, .running)
        try await bench.inventory(rigHostA, .nothing, isBusy: true)
        try await bench.expect(.running(here))
        #expect(try await bench.rig.vm("idle").state == .stopped(.foundGone))
    }

    /// Nova keeps the record, oVirt and ZStack say Unknown, and oVirt starts a VM with a lease elsewhere. Roost: unknown,
    /// and a wish waits.
    @Test(arguments: placed + [.starting(RecordBench.here), .destroying(RecordBench.here, waiting: nil)])
    func `30 any x A disconnected: unknown, and a wish waits`(state: VMState) async throws {
        let bench = try await RecordBench(state)
        try await bench.rig.cut(rigHostA)
        let waits: VMState
        if state.label == .stopping {
            waits = .stopping(here, waiting: .hostDisconnected)
        } else if state.label == .destroying {
            waits = .destroying(here, waiting: .hostDisconnected)
        } else {
            waits = .unknown(here, .hostDisconnected)
        }
        try await bench.expect(waits)
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
    }

    // MARK: Jobs

    /// A report decides on the record alone: what a job has still to do is the job's to find out.
    @Test(arguments: [
        VMState.running(RecordBench.here), .stopping(RecordBench.here, waiting: .hostDisconnected),
        .unknown(RecordBench.here, .hostDisconnected), .stopped(.requested), .migrating(RecordBench.move),
    ])
    func `a GC job that waits changes nothing of what a report does`(state: VMState) async throws {
        for listed in [RecordBench.Listed.nothing, .domain(5, .running)] {
            var outcomes: [VMState] = []
            for hasJob in [false, true] {
                let bench = try await RecordBench(state)
                let id = bench.vm
                if hasJob {
                    try await bench.rig.database.write("job") { tx in
                        _ = try tx.enqueue(
                            Job(
                                id: JobID(trusted: "eeeeeeee-0000-4000-8000-000000000006"), kind: .stopVM, vm: id,
                                host: rigHostA, epoch: Epoch(5), payload: JobPayload(mode: .cold), wish: 0,
                                nextAttemptAt: tx.now, requestedBy: "operator", createdAt: tx.now, updatedAt: tx.now))
                    }
                }
                try await bench.inventory(rigHostA, listed)
                outcomes.append(try await bench.record().state)
                let jobs = try await bench.rig.database.read { try $0.unfinishedJobs(of: id) }
                #expect(jobs.count == (hasJob ? 1 : 0))
            }
            #expect(outcomes[0] == outcomes[1])
        }
    }
}
