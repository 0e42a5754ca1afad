import Domain
import HostAgent
import Synchronization

/// An agent's disk: what was written stays, whatever happens to the agent.
struct SimulatedDisk: CommandJournal, EpochLedger {
    let machine: Machine

    func entry(_ id: CommandID) -> JournalEntry? { machine.with { $0.journal[id] } }
    func begin(_ id: CommandID, _ command: BegunCommand) { machine.with { $0.journal[id] = .begun(command) } }
    func end(_ id: CommandID, _ outcome: CommandOutcome) { machine.with { $0.journal[id] = .ended(outcome) } }
    func refuse(_ id: CommandID) { machine.with { $0.journal[id] = .refused } }
    func forget(_ id: CommandID) { machine.with { $0.journal[id] = nil } }

    func mark(of vm: VMID) -> EpochMark { machine.with { $0.marks[vm] ?? .none } }

    func raise(_ vm: VMID, to mark: EpochMark) {
        machine.with { life in
            let before = life.marks[vm] ?? .none
            life.marks[vm] = EpochMark(
                highest: max(before.highest, mark.highest), closed: max(before.closed, mark.closed))
        }
    }

    func highest() -> Epoch {
        machine.with { $0.marks.values.reduce(.none) { max($0, $1.highest, $1.closed) } }
    }

    func heard() -> RecordPoint { machine.with { $0.heard } }
    func raise(to point: RecordPoint) { machine.with { $0.heard = max($0.heard, point) } }
}

/// A pool that all machines share, and each machine's console logs.
final class SimulatedPool: Sendable {
    let id = PoolID(trusted: "99999999-0000-4000-8000-000000000001")
    private let disks = Mutex<Set<VMID>>([])

    var all: Set<VMID> { disks.withLock { $0 } }
    func make(_ vm: VMID) { disks.withLock { _ = $0.insert(vm) } }
    func remove(_ vm: VMID) { disks.withLock { _ = $0.remove(vm) } }
}

struct SimulatedStorage: HostStorage {
    let machine: Machine
    let shared: SimulatedPool
    let time: SimulatedTime

    var pool: PoolID { shared.id }

    private func pass() async throws(Fault) {
        do { try await time.sleep(for: machine.scheduler.milliseconds(1...60)) } catch {
            throw Fault(.unavailable, .commandFailed, "given up")
        }
    }

    func prepare(_ vm: VMID, from image: ImageSource, mayMakeDisk: Bool) async throws(Fault) -> BootFiles {
        try await pass()
        if mayMakeDisk { shared.make(vm) }
        guard shared.all.contains(vm) else { throw Fault(.conflict, .diskElsewhere, "There is no disk.") }
        return .disk("/pool/\(vm).qcow2")
    }

    func consoleLog(of vm: VMID) -> String { "/console/\(vm).log" }
    func readConsoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8] { [] }

    func heldFiles() async throws(Fault) -> [HeldFile] {
        try await pass()
        let logs = machine.with { life in life.files.filter { $0.value.contains(.consoleLog) }.map(\.key) }
        return
            (shared.all.map { HeldFile(vm: $0, kind: .rootDisk, bytes: 1) }
            + logs.map { HeldFile(vm: $0, kind: .consoleLog, bytes: 1) })
            .sorted { ($0.vm, $0.kind.rawValue) < ($1.vm, $1.kind.rawValue) }
    }

    func release(_ vm: VMID) async throws(Fault) {}

    func removeConsoleLog(of vm: VMID) async throws(Fault) {
        try await pass()
        machine.with { _ = $0.files[vm]?.remove(.consoleLog) }
    }

    func remove(_ vm: VMID) async throws(Fault) {
        try await pass()
        machine.with { $0.files[vm] = nil }
        shared.remove(vm)
    }
}

/// The way between two agents.
struct SimulatedChannel: MigrationChannel {
    let machine: Machine
    let world: MachineTable
    let time: SimulatedTime

    func open(
        for vm: VMID, _ epoch: Epoch, from source: HostID, land: @escaping @Sendable (LandingWord) async -> Bool
    ) async throws(Fault) -> MigrationDoor {
        machine.with { $0.doors[vm] = Machine.Door(epoch: epoch, source: source, land: land) }
        return MigrationDoor(address: machine.name, port: 1, socketDirectory: "/moves")
    }

    func isOpen(_ vm: VMID, _ epoch: Epoch) -> Bool { machine.with { $0.doors[vm]?.epoch == epoch } }

    func connect(
        _ vm: VMID, _ epoch: Epoch, to destination: HostID, at landing: MigrationLanding
    ) async throws(Fault) -> MigrationSockets {
        guard let other = world.machine(landing.address), other.isReachable, machine.isReachable,
            other.with({ $0.doors[vm]?.epoch == epoch && $0.doors[vm]?.source == machine.id })
        else { throw Fault(.unavailable, .commandFailed, "The other host cannot be reached.") }
        return MigrationSockets(directory: "/moves")
    }

    func tell(_ word: LandingWord, to destination: HostID, of vm: VMID, at landing: MigrationLanding) async -> Bool {
        guard let other = world.machine(landing.address) else { return false }
        let answer = Answer<Bool>(machine.agent)
        machine.scheduler.after(machine.scheduler.milliseconds(1...100)) { [machine] in
            guard machine.isReachable, other.isReachable, let door = other.with({ $0.doors[vm] }),
                !machine.scheduler.oneIn(20)
            else { return }
            other.agent.start {
                let goesOn = await door.land(word)
                if machine.isReachable, other.isReachable { answer.give(goesOn) }
            }
        }
        return await answer.wait(atMost: .seconds(10), time) ?? false
    }

    func close(_ vm: VMID, upTo epoch: Epoch) async {
        machine.with { life in if let open = life.doors[vm]?.epoch, open <= epoch { life.doors[vm] = nil } }
    }
}
