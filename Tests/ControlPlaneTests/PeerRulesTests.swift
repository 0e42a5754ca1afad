import ControlPlane
import Domain
import Testing

/// What Roost makes of each pair of a record and a report, beside what its peers make of it: `docs/state-sync.md` row by row.
/// The VM is placed on A with epoch 5, or was last.
@Suite(.serialized) struct PeerRulesTests {
    private let here = RecordBench.here
    private func onA(_ epoch: Int64) -> Placement { Placement(host: rigHostA, epoch: Epoch(epoch)) }
    private func onB(_ epoch: Int64) -> Placement { Placement(host: rigHostB, epoch: Epoch(epoch)) }

    // MARK: 1 to 9: a VM that is up

    /// Nova stays ACTIVE, oVirt restarts an HA VM, ZStack says Stopped. Roost: libvirt answered, so it is stopped, but for
    /// a VM that the agent is busy with.
    @Test func `1 running x absent: stopped, found gone; unless a command is at it`() async throws {
        let bench = try await RecordBench(.running(here))
        try await bench.inventory(rigHostA, .nothing, isBusy: true)
        try await bench.expect(.running(here))
        try await bench.inventory(rigHostA, .nothing)
        try await bench.expect(.stopped(.foundGone))
    }

    /// Nova asks again and stops it, oVirt sends a Destroy, ZStack says Stopped. Roost: an event that it ended tells how, and
    /// nothing is left to be stopped.
    @Test(arguments: [
        (StopCause.guestShutdown, VMState.stopped(.guestShutdown)), (.domainDestroyed, .stopped(.domainDestroyed)),
        (.failed, .crashed(.failed)),
    ])
    func `2 and 25, R11 running x shut off or QEMU died: the event tells the cause`(
        cause: StopCause, state: VMState
    ) async throws {
        let bench = try await RecordBench(.running(here))
        try await bench.event(rigHostA, 5, .gone(cause))
        try await bench.expect(state)
        try await bench.inventory(rigHostA, .nothing)
        try await bench.expect(state)
    }

    /// Nova does not look at B; oVirt and ZStack make B the owner, and two copies flap. Roost: a report moves nothing, and
    /// an epoch above the record's highest stops every start.
    @Test(arguments: [(Int64(4), FaultCode.placementUnresolved), (5, .placementUnresolved), (6, .epochConflict)])
    func `3, 4 and 5 running x B runs it too: a conflict, told once, which refuses a start`(
        epoch: Int64, refusal: FaultCode
    ) async throws {
        let bench = try await RecordBench(.running(here))
        for _ in 1...2 {
            try await bench.event(rigHostB, epoch, .running)
            try await bench.inventory(rigHostB, .domain(epoch, .running))
            try await bench.expect(.running(here), conflicts: [onB(epoch)])
        }
        #expect(try await bench.conflictsTold().count == 1)
        try await bench.event(rigHostA, 5, .gone(.guestShutdown))
        try await bench.expect(.stopped(.guestShutdown), conflicts: [onB(epoch)])
        #expect(try await bench.refusalOfStart() == refusal)
        try await bench.inventory(rigHostB, .silence)
        try await bench.expect(.stopped(.guestShutdown), conflicts: [onB(epoch)])
        try await bench.inventory(rigHostB, .nothing)
        try await bench.expect(.stopped(.guestShutdown))
        // Its libvirt was seen to answer, and nothing is in the way any more.
        #expect(try await bench.refusalOfStart() == nil)
    }

    /// The peers have no epochs and see agreement. Roost: the database was restored, so that nothing it says of the domain
    /// counts, from the first word on.
    @Test(arguments: [false, true])
    func `6 running x A runs a newer epoch: unknown at once, and a conflict`(isEvent: Bool) async throws {
        let bench = try await RecordBench(.running(here))
        for _ in 1...2 {
            if isEvent {
                try await bench.event(rigHostA, 6, .running)
            } else {
                try await bench.inventory(rigHostA, .domain(6, .running))
            }
            try await bench.expect(.unknown(here, .outcomeUnknown), conflicts: [onA(6)])
        }
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
    }

    /// As row 6; the wish to stop it stays, and waits.
    @Test(arguments: [false, true])
    func `6 stopping x A runs a newer epoch: stopping, its outcome unknown`(isEvent: Bool) async throws {
        let bench = try await RecordBench(.stopping(here, waiting: nil))
        if isEvent {
            try await bench.event(rigHostA, 6, .paused)
        } else {
            try await bench.inventory(rigHostA, .domain(6, .paused))
        }
        try await bench.expect(.stopping(here, waiting: .outcomeUnknown), conflicts: [onA(6)])
    }

    /// The peers see agreement. Roost: a VM has one domain on a host, so ours is gone; the older one is a leftover.
    @Test func `7 running x A runs an older epoch: stopped, found gone, and a conflict`() async throws {
        let bench = try await RecordBench(.running(here))
        try await bench.inventory(rigHostA, .domain(4, .running))
        try await bench.expect(.stopped(.foundGone), conflicts: [onA(4)])
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
    }

    /// Its domain may be the VM's own: nothing is concluded from it, but where the VM is not placed it is shown.
    @Test func `7 running x a domain whose epoch cannot be read: running`() async throws {
        let bench = try await RecordBench(.running(here))
        try await bench.inventory(rigHostA, .unreadable)
        try await bench.expect(.running(here))
        try await bench.inventory(rigHostB, .unreadable)
        try await bench.expect(.running(here), conflicts: [onB(0)])
    }

    /// Nova only warns and keeps ACTIVE, or PAUSED; oVirt and ZStack adopt it. Roost: what its own host shows counts.
    @Test(arguments: [false, true])
    func `8 and 9 running x paused, paused x running: as its host shows it`(isEvent: Bool) async throws {
        let bench = try await RecordBench(.running(here))
        for (shown, state) in [(DomainState.paused, VMState.paused(here)), (.running, .running(here))] {
            if isEvent {
                try await bench.event(rigHostA, 5, shown)
            } else {
                try await bench.inventory(rigHostA, .domain(5, shown))
            }
            try await bench.expect(state)
        }
    }

    // MARK: 10, 11, 24, 26: a VM that is at rest

    /// Nova stops it by force, oVirt and ZStack say that it runs again, ZStack destroys one that was deleted. Roost: a report
    /// neither revives nor kills; a job that names the epoch does.
    @Test(
        arguments: [VMState.stopped(.requested), .crashed(.failed), .destroyed, .created], [rigHostA, rigHostB])
    func `10, 11, 24 and 26 at rest x a host runs it: a conflict, and no stop`(
        state: VMState, host: HostID
    ) async throws {
        let bench = try await RecordBench(state)
        for epoch in Int64(4)...6 {
            let found = Placement(host: host, epoch: Epoch(epoch))
            try await bench.inventory(host, .domain(epoch, .running))
            try await bench.expect(state, conflicts: [found])
            try await bench.event(host, epoch, .paused)
            try await bench.expect(state, conflicts: [found])
        }
    }

    /// oVirt compares time stamps of one host only, ZStack only states. Roost: told of the last placement before its end was
    /// recorded, it is no news.
    @Test func `10 stopped x last host ran it before the stop: ignored`() async throws {
        let bench = try await RecordBench(.stopped(.requested))
        try await bench.inventory(rigHostA, .domain(5, .running), sequence: 9)
        try await bench.expect(.stopped(.requested))
    }

    /// Nova may reap it, oVirt registers an external VM, ZStack warns. Roost shows it: it is nobody's to end.
    @Test func `24 no record x running: a sighting`() async throws {
        let bench = try await RecordBench(.destroyed)
        let stranger = VMID(trusted: "cccccccc-0000-4000-8000-000000000009")
        let inventory = Inventory(
            bootID: "boot-1", libvirtAnswered: true,
            domains: [ObservedDomain(vm: stranger, epoch: Epoch(3), state: .running)], sequence: 30)
        try await bench.rig.sessions.received(inventory, from: rigHostB, session: 1)
        let seen = try await bench.rig.database.read { try $0.sightings(of: stranger) }
        #expect(seen.map(\.epoch) == [Epoch(3)])
        try await bench.expect(.destroyed)
    }

    // MARK: 12 to 15: a VM with a command on its way

    /// Nova skips a VM with a task, oVirt starts it elsewhere, ZStack says Stopped. Roost: the command may be on its way, and
    /// settles it; but an event tells of a domain that was there.
    @Test func `12 starting x absent: starting, as long as its command is under way`() async throws {
        let early = try await RecordBench(.starting(here), isSeen: false, isUnderWay: true)
        try await early.inventory(rigHostA, .nothing)
        try await early.expect(.starting(here))
        try await early.event(rigHostA, 5, .gone(.guestShutdown))
        try await early.expect(.stopped(.guestShutdown))
        let late = try await RecordBench(.starting(here), isSeen: false)
        try await late.inventory(rigHostA, .nothing)
        try await late.expect(.stopped(.foundGone))
    }

    /// Nova skips it; oVirt and ZStack say running, ZStack on whichever host spoke. Roost: the report overtook the answer.
    @Test func `13 starting x running: running, and its operation ends by itself`() async throws {
        let bench = try await RecordBench(.starting(here), isSeen: false, isUnderWay: true)
        try await bench.inventory(rigHostA, .domain(5, .running))
        try await bench.expect(.running(here))
        #expect(try await bench.record().domainSeen)
    }

    /// oVirt and ZStack forget the stop. Roost: the later wish wins, and its host has answered.
    @Test(arguments: [nil, WaitReason.hostDisconnected])
    func `14 stopping x running: stopping`(waiting: WaitReason?) async throws {
        let bench = try await RecordBench(.stopping(here, waiting: waiting))
        try await bench.inventory(rigHostA, .domain(5, .running))
        try await bench.expect(.stopping(here, waiting: nil))
        let doomed = try await RecordBench(.destroying(here, waiting: waiting))
        try await doomed.inventory(rigHostA, .domain(5, .running))
        try await doomed.expect(.destroying(here, waiting: nil))
    }

    /// All come to stopped; Roost keeps why: asked for, unless QEMU died first or nobody saw the end.
    @Test(arguments: [
        (StopCause.guestShutdown, StopCause.requested), (.domainDestroyed, .requested), (.failed, .failed),
        (.foundGone, .foundGone),
    ])
    func `15 stopping x absent: stopped, with the cause that was seen`(
        told: StopCause, recorded: StopCause
    ) async throws {
        let bench = try await RecordBench(.stopping(here, waiting: nil))
        if told == .foundGone {
            try await bench.inventory(rigHostA, .nothing)
        } else {
            try await bench.event(rigHostA, 5, .gone(told))
        }
        try await bench.expect(.stopped(recorded))
    }

    // MARK: 21 to 23: a VM whose host could not be asked

    /// Nova has no such state; oVirt and ZStack say running. So does Roost: its own host answered.
    @Test func `21 unknown x A runs it: running`() async throws {
        let bench = try await RecordBench(.unknown(here, .hostDisconnected))
        try await bench.inventory(rigHostA, .domain(5, .running))
        try await bench.expect(.running(here))
    }

    /// oVirt makes B the owner, ZStack raises an error or did the same. Roost: A has not answered yet.
    @Test func `22 unknown x B runs it: a conflict, and unknown until A answers`() async throws {
        let bench = try await RecordBench(.unknown(here, .hostDisconnected))
        try await bench.inventory(rigHostB, .domain(5, .running))
        try await bench.expect(.unknown(here, .hostDisconnected), conflicts: [onB(5)])
        #expect(try await bench.refusalOfStart() == .placementUnresolved)
    }

    /// oVirt says Down and restarts an HA VM, ZStack says Stopped. Roost: stopped, as A answered; but R25, a start that may
    /// still be on its way stays unknown.
    @Test func `23 unknown x absent on A: stopped, unless a start may be on its way`() async throws {
        let bench = try await RecordBench(.unknown(here, .hostDisconnected))
        try await bench.inventory(rigHostA, .nothing)
        try await bench.expect(.stopped(.foundGone))
        let unsettled = try await RecordBench(.unknown(here, .hostDisconnected), isSeen: false, isUnderWay: true)
        try await unsettled.inventory(rigHostA, .nothing)
        try await unsettled.expect(.unknown(here, .outcomeUnknown))
    }

    // MARK: 31: what comes late

    /// Nova reads the record again, oVirt trusts one host's clock, ZStack compares states. Roost: session, then sequence.
    @Test func `31 any x older than the last fact: ignored`() async throws {
        let bench = try await RecordBench(.running(here))
        try await bench.inventory(rigHostA, .nothing, sequence: 9)
        try await bench.event(rigHostA, 5, .gone(.failed), sequence: 9)
        try await bench.expect(.running(here))
        let fault = try await #require(throws: Fault.self) {
            try await bench.rig.sessions.received(
                Inventory(bootID: "boot-1", libvirtAnswered: true, domains: [], sequence: 99), from: rigHostA,
                session: 0)
        }
        #expect(fault.code == .staleSession)
        try await bench.expect(.running(here))
    }
}
