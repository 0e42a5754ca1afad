import Domain
import HostAgent

/// The journal, as one agent process sees it.
struct FakeJournal: CommandJournal {
    let host: FakeHost
    let life: AgentLife

    func entry(_ id: CommandID) throws -> JournalEntry? {
        try life.call("journal.entry") { host.with { $0.journal[id] } }
    }

    func begin(_ id: CommandID, _ command: BegunCommand) throws {
        try life.call("journal.begin") {
            host.with {
                $0.journal[id] = .begun(command)
                $0.begun.append(id)
            }
        }
    }

    func end(_ id: CommandID, _ outcome: CommandOutcome) throws {
        try life.call("journal.end") { host.with { $0.journal[id] = .ended(outcome) } }
    }

    func refuse(_ id: CommandID) throws {
        try life.call("journal.refuse") { host.with { $0.journal[id] = .refused } }
    }

    func forget(_ id: CommandID) throws {
        try life.call("journal.forget") { host.with { $0.journal[id] = nil } }
    }
}

/// The ledger of epochs, as one agent process sees it.
struct FakeLedger: EpochLedger {
    let host: FakeHost
    let life: AgentLife

    func mark(of vm: VMID) throws -> EpochMark { try life.call("ledger.mark") { host.mark(of: vm) } }

    func raise(_ vm: VMID, to mark: EpochMark) throws {
        try life.call("ledger.raise") {
            host.with { state in
                let old = state.marks[vm] ?? .none
                state.marks[vm] = EpochMark(
                    highest: max(old.highest, mark.highest), closed: max(old.closed, mark.closed))
            }
        }
    }

    func highest() throws -> Epoch {
        try life.call("ledger.highest") {
            host.with { state in state.marks.values.map { max($0.highest, $0.closed) }.max() ?? .none }
        }
    }

    func heard() throws -> RecordPoint { try life.call("ledger.heard") { host.with { $0.heard } } }

    func raise(to point: RecordPoint) throws {
        try life.call("ledger.hear") { host.with { $0.heard = max($0.heard, point) } }
    }
}

/// The pool, as one agent process sees it.
struct FakeStorage: HostStorage {
    let host: FakeHost
    let life: AgentLife

    var pool: PoolID { PoolID(trusted: "22222222-0000-4000-8000-000000000002") }

    func prepare(_ vm: VMID, from image: ImageSource, mayMakeDisk: Bool) async throws(Fault) -> BootFiles {
        try call("storage.prepare") { $0.prepareFault }
        return .disk("/pool/\(vm).qcow2")
    }

    func consoleLog(of vm: VMID) -> String { "/console/\(vm).log" }

    func readConsoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8] { Array("login:".utf8.suffix(limit)) }

    func heldFiles() async throws(Fault) -> [HeldFile] { host.with { $0.files } }

    func release(_ vm: VMID) async throws(Fault) {
        try call("storage.release") { state in
            if let fault = state.releaseFault { return fault }
            state.released.append(vm)
            return nil
        }
    }

    func removeConsoleLog(of vm: VMID) async throws(Fault) {
        try call("storage.remove-log") { state in
            state.logsRemoved.append(vm)
            return nil
        }
    }

    func remove(_ vm: VMID) async throws(Fault) {
        try call("storage.remove") { state in
            state.removed.append(vm)
            return nil
        }
    }

    private func call(_ name: String, _ body: (inout FakeHost.State) -> Fault?) throws(Fault) {
        do {
            let fault: Fault? = try life.call(name) { host.with { body(&$0) } }
            if let fault { throw fault }
        } catch {
            throw error as? Fault ?? Fault(.bug, .internalError, "the agent is dead")
        }
    }
}

/// The way to other hosts, as the agent's processes see it.
struct FakeChannel: MigrationChannel {
    let host: FakeHost

    func open(
        for vm: VMID, _ epoch: Epoch, from source: HostID, land: @escaping @Sendable (LandingWord) async -> Bool
    ) async throws(Fault) -> MigrationDoor {
        host.with { state in
            state.doors[vm] = epoch
            state.land = land
        }
        return MigrationDoor(address: "10.0.0.12", port: 4711, socketDirectory: "/run/moves/\(vm)")
    }

    func connect(
        _ vm: VMID, _ epoch: Epoch, to destination: HostID, at landing: MigrationLanding
    ) async throws(Fault) -> MigrationSockets {
        let fault: Fault? = host.with { state in
            if state.connectFault == nil { state.connected[vm] = epoch }
            return state.connectFault
        }
        if let fault { throw fault }
        return MigrationSockets(directory: landing.socketDirectory)
    }

    func isOpen(_ vm: VMID, _ epoch: Epoch) -> Bool { host.with { $0.doors[vm] == epoch } }

    func tell(_ word: LandingWord, to destination: HostID, of vm: VMID, at landing: MigrationLanding) async -> Bool {
        host.with { state in
            guard state.connected[vm] != nil else { return false }
            state.told.append(word)
            return state.isHeard
        }
    }

    func close(_ vm: VMID, upTo epoch: Epoch) async {
        host.with { state in
            if let open = state.doors[vm], open <= epoch { state.doors[vm] = nil }
            if let open = state.connected[vm], open <= epoch { state.connected[vm] = nil }
        }
    }
}
