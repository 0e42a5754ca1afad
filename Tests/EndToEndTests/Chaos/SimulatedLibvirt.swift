import Domain
import HostAgent
import Synchronization

/// A simulated host's libvirt: domains in memory, which outlive the agent.
final class SimulatedLibvirt: Sendable {
    private struct State {
        var domains: [VMID: (epoch: Epoch, name: String)] = [:]
        var events: AsyncStream<HypervisorEvent>.Continuation?
    }

    let host: String
    private let fleet: SimulatedFleet
    private let state = Mutex(State())

    init(_ host: String, _ fleet: SimulatedFleet) {
        self.host = host
        self.fleet = fleet
    }

    var domains: [(vm: VMID, epoch: Epoch, name: String)] {
        state.withLock { $0.domains.map { ($0.key, $0.value.epoch, $0.value.name) } }.sorted { $0.vm < $1.vm }
    }

    func start(_ spec: DomainSpec) throws(HypervisorError) {
        let isStarted = state.withLock { state in
            guard state.domains[spec.vm] == nil else { return false }
            state.domains[spec.vm] = (spec.epoch, spec.name)
            fleet.started(.init(vm: spec.vm, epoch: spec.epoch), on: host)
            state.events?.yield(.changed(spec.vm, spec.epoch, .running))
            return true
        }
        guard isStarted else { throw .failed("A domain of this VM runs here already.") }
    }

    func cutPower(of vm: VMID) throws(HypervisorError) {
        let wasThere = state.withLock { state in
            guard let domain = state.domains.removeValue(forKey: vm) else { return false }
            fleet.ended(.init(vm: vm, epoch: domain.epoch), on: host)
            state.events?.yield(.changed(vm, domain.epoch, .gone(.domainDestroyed)))
            return true
        }
        guard wasThere else { throw .noDomain }
    }

    func events() -> AsyncStream<HypervisorEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: HypervisorEvent.self)
        state.withLock { $0.events = continuation }
        continuation.yield(.connected)
        return stream
    }
}

/// One process of an agent, as far as its death goes: from then on nothing that it does has an effect.
final class SimulatedLife: Sendable {
    private let isOver = Mutex(false)

    struct Over: Error {}

    /// Returns when nothing is under way any more that has an effect.
    func end() { isOver.withLock { $0 = true } }

    func act<Value: Sendable>(_ body: () throws -> Value) throws -> Value {
        try isOver.withLock { isOver in
            if isOver { throw Over() }
            return try body()
        }
    }
}

/// A simulated libvirt, as one agent process sees it.
struct SimulatedHypervisor: Hypervisor {
    let libvirt: SimulatedLibvirt
    let life: SimulatedLife

    func facts() async throws(HypervisorError) -> HypervisorFacts {
        HypervisorFacts(domainType: "qemu", reason: "simulated", libvirtVersion: "9.0.0", qemuVersion: "7.2.0")
    }

    func capacity() async throws(HypervisorError) -> (cpus: Int, memory: Int) { (64, 65536) }

    func domains() async throws(HypervisorError) -> [ObservedDomain] {
        try ask { $0.map { ObservedDomain(vm: $0.vm, epoch: $0.epoch, state: .running) } }
    }

    func heldDomains() async throws(HypervisorError) -> [HeldDomain] {
        try ask { domains in
            domains.map {
                HeldDomain(
                    seen: ObservedDomain(vm: $0.vm, epoch: $0.epoch, state: .running), name: $0.name, cpus: 1,
                    memory: 96)
            }
        }
    }

    func domain(of vm: VMID) async throws(HypervisorError) -> ObservedDomain? {
        try await domains().first { $0.vm == vm }
    }

    func start(_ spec: DomainSpec) async throws(HypervisorError) {
        try await act(after: .milliseconds(40)) { () throws(HypervisorError) in try libvirt.start(spec) }
    }

    func cutPower(of vm: VMID) async throws(HypervisorError) {
        try await act(after: .milliseconds(20)) { () throws(HypervisorError) in try libvirt.cutPower(of: vm) }
    }

    func pressPowerButton(of vm: VMID) async throws(HypervisorError) {
        try await act(after: .milliseconds(20)) { () throws(HypervisorError) in try libvirt.cutPower(of: vm) }
    }

    func process(of vm: VMID) async throws(HypervisorError) -> (any GuestProcess)? { nil }

    func events() -> AsyncStream<HypervisorEvent> { libvirt.events() }

    private func ask<Value: Sendable>(
        _ body: ([(vm: VMID, epoch: Epoch, name: String)]) -> Value
    ) throws(HypervisorError) -> Value {
        do { return try life.act { body(libvirt.domains) } } catch { throw .unreachable("the agent is dead") }
    }

    /// What libvirt was asked for comes about, also when the agent dies meanwhile; that one hears nothing of it.
    private func act(
        after delay: Duration, _ effect: () throws(HypervisorError) -> Void
    ) async throws(HypervisorError) {
        do { try life.act {} } catch { throw .unreachable("the agent is dead") }
        try? await Task.sleep(for: delay)
        try effect()
        do { try life.act {} } catch { throw .unreachable("the agent is dead") }
    }

    // MARK: What nobody asks of these hosts

    private var unasked: HypervisorError { .failed("A simulated host cannot do that.") }

    func control(_ control: GuestControl, of vm: VMID) async throws(HypervisorError) { throw unasked }
    func migrate(_ migration: DomainMigration) async throws(HypervisorError) { throw unasked }
    func migrationProgress(of vm: VMID) async throws(HypervisorError) -> MigrationProgress? { nil }
    func cancelMigration(of vm: VMID) async throws(HypervisorError) { throw unasked }
    func beginPostCopy(of vm: VMID) async throws(HypervisorError) { throw unasked }
    func setEpoch(_ epoch: Epoch, of vm: VMID) async throws(HypervisorError) { throw unasked }
}

/// A pool in which nothing lies: these guests boot from nothing.
struct SimulatedStorage: HostStorage {
    var pool: PoolID { PoolID(trusted: "51111111-0000-4000-8000-000000000005") }

    func prepare(_ vm: VMID, from image: ImageSource, mayMakeDisk: Bool) async throws(Fault) -> BootFiles {
        .kernel(kernel: "/nowhere", initrd: "/nowhere", commandLine: "")
    }

    func consoleLog(of vm: VMID) -> String { "/nowhere/\(vm).log" }
    func readConsoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8] { [] }
    func heldFiles() async throws(Fault) -> [HeldFile] { [] }
    func release(_ vm: VMID) async throws(Fault) {}
    func removeConsoleLog(of vm: VMID) async throws(Fault) {}
    func remove(_ vm: VMID) async throws(Fault) {}
}

/// No way to any other host.
struct SimulatedChannel: MigrationChannel {
    private var noWay: Fault { Fault(.unavailable, .commandFailed, "A simulated host takes part in no move.") }

    func open(
        for vm: VMID, _ epoch: Epoch, from source: HostID, land: @escaping @Sendable (LandingWord) async -> Bool
    ) async throws(Fault) -> MigrationDoor { throw noWay }
    func isOpen(_ vm: VMID, _ epoch: Epoch) -> Bool { false }
    func connect(
        _ vm: VMID, _ epoch: Epoch, to destination: HostID, at landing: MigrationLanding
    ) async throws(Fault) -> MigrationSockets { throw noWay }
    func tell(_ word: LandingWord, to destination: HostID, of vm: VMID, at landing: MigrationLanding) async -> Bool {
        false
    }
    func close(_ vm: VMID, upTo epoch: Epoch) async {}
}

/// An agent's memory on disk, as one process of it sees it.
struct MortalJournal: CommandJournal {
    let disk: any CommandJournal
    let life: SimulatedLife

    func entry(_ id: CommandID) throws -> JournalEntry? { try life.act { try disk.entry(id) } }
    func begin(_ id: CommandID, _ command: BegunCommand) throws { try life.act { try disk.begin(id, command) } }
    func end(_ id: CommandID, _ outcome: CommandOutcome) throws { try life.act { try disk.end(id, outcome) } }
    func refuse(_ id: CommandID) throws { try life.act { try disk.refuse(id) } }
    func forget(_ id: CommandID) throws { try life.act { try disk.forget(id) } }
}

struct MortalLedger: EpochLedger {
    let disk: any EpochLedger
    let life: SimulatedLife

    func mark(of vm: VMID) throws -> EpochMark { try life.act { try disk.mark(of: vm) } }
    func raise(_ vm: VMID, to mark: EpochMark) throws { try life.act { try disk.raise(vm, to: mark) } }
    func highest() throws -> Epoch { try life.act { try disk.highest() } }
    func heard() throws -> RecordPoint { try life.act { try disk.heard() } }
    func raise(to point: RecordPoint) throws { try life.act { try disk.raise(to: point) } }
}
