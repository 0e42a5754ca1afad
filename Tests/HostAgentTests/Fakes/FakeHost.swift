import Domain
import HostAgent
import Logging
import Synchronization

/// A host that outlives its agents: libvirt's domains, and what an agent keeps on disk.
final class FakeHost: Sendable {
    /// What libvirt does with a call.
    enum Conduct: Sendable {
        case works
        case fails(String)
        /// It does not answer, and nothing happens.
        case isSilent
        /// It does not answer, and the effect comes about later all the same.
        case isSilentAndWorks(after: Duration)
    }

    struct Domain: Hashable, Sendable {
        var epoch: Epoch?
        var state: DomainState = .running
    }

    struct Starts: Hashable, Sendable {
        let vm: VMID
        let epoch: Epoch
    }

    struct State {
        var domains: [VMID: Domain] = [:]
        var isReachable = true
        var starts: [Conduct] = []
        var cuts: [Conduct] = []
        var kills: [Conduct] = []
        var controls: [Conduct] = []
        var moves: [Conduct] = []
        /// A move is under way and waits for this to be nil.
        var progress: MigrationProgress?
        var isMoveHeld = false
        var moved: [DomainMigration] = []
        var movesCancelled = 0
        var postCopies = 0
        /// Which doors stand open, by VM; and what was connected to.
        var doors: [VMID: Epoch] = [:]
        var connected: [VMID: Epoch] = [:]
        var connectFault: Fault?
        /// What the latest door does with the source's word.
        var land: (@Sendable (LandingWord) async -> Bool)?
        /// What was said to destinations, and whether they answer that the guest goes on.
        var told: [LandingWord] = []
        var isHeard = true
        /// What the guest does when its power button is pressed; by default nothing.
        var guest: @Sendable (_ presses: Int) -> Reaction = { _ in .ignores }

        var started: [Starts] = []
        var cut: [VMID] = []
        var killed: [VMID] = []
        var controlled: [GuestControl] = []
        var presses: [Duration] = []

        var journal: [CommandID: JournalEntry] = [:]
        var begun: [CommandID] = []
        var marks: [VMID: EpochMark] = [:]
        var heard = RecordPoint.none
        var released: [VMID] = []
        var logsRemoved: [VMID] = []
        var removed: [VMID] = []
        var files: [HeldFile] = []
        var prepareFault: Fault?
        var releaseFault: Fault?
        var factsKnown = true
        var factsAsked = 0
        var events: AsyncStream<HypervisorEvent>.Continuation?
    }

    enum Reaction: Sendable { case ignores, powersOff, reboots, restartsAs(Epoch) }

    let time = ManualTime()
    let gates = Gates()
    private let state = Mutex(State())

    func with<Value>(_ body: (inout sending State) -> sending Value) -> sending Value { state.withLock(body) }

    /// A fresh process of the agent on this host.
    func agent(_ life: AgentLife = AgentLife(), inventoryInterval: Duration = .seconds(60)) -> Agent {
        Agent(
            hypervisor: FakeHypervisor(host: self, life: life), storage: FakeStorage(host: self, life: life),
            channel: FakeChannel(host: self), journal: FakeJournal(host: self, life: life),
            ledger: FakeLedger(host: self, life: life),
            time: MortalTime(time: time, life: life), ids: FixedIDs(), faults: MortalGates(gates: gates, life: life),
            bootID: "boot", version: "1.0", inventoryInterval: inventoryInterval,
            logger: Logger(label: "agent") { _ in SwiftLogNoOpLogHandler() })
    }

    /// libvirt has a domain of `vm`; nil is an epoch that cannot be read.
    func show(_ epoch: Epoch?, _ state: DomainState = .running, of vm: VMID = someVM) {
        with { $0.domains[vm] = Domain(epoch: epoch, state: state) }
    }
    func hide(_ vm: VMID = someVM) { with { $0.domains[vm] = nil } }
    func mark(_ mark: EpochMark, of vm: VMID = someVM) { with { $0.marks[vm] = mark } }

    func epoch(of vm: VMID = someVM) -> Epoch? { with { $0.domains[vm]?.epoch } }
    func isLive(_ vm: VMID = someVM) -> Bool { with { $0.domains[vm] != nil } }
    func mark(of vm: VMID = someVM) -> EpochMark { with { $0.marks[vm] ?? .none } }
    func entry(_ id: CommandID) -> JournalEntry? { with { $0.journal[id] } }

    /// libvirt answers again once the clock has moved on by `delay`.
    func silence(for delay: Duration) {
        with { $0.isReachable = false }
        time.plan(after: delay) { self.with { $0.isReachable = true } }
    }

    func tell(_ event: HypervisorEvent) { _ = with { $0.events }?.yield(event) }
}

private struct FixedIDs: IDSource {
    func uuid() -> String { "11111111-0000-4000-8000-000000000001" }
}

/// The clock of one agent process.
private struct MortalTime: TimeSource {
    let time: ManualTime
    let life: AgentLife

    func wall() -> Timestamp { time.wall() }
    func monotonic() -> Duration { time.monotonic() }

    func sleep(for duration: Duration) async throws {
        if life.isDead { throw CancellationError() }
        try await time.sleep(for: duration)
    }
}

private struct MortalGates: FaultPoints {
    let gates: Gates
    let life: AgentLife

    func reach(_ name: String) async {
        guard case .works = life.step(name) else { return }
        await gates.reach(name)
    }

    func reachBlocking(_ name: String) {}
}
