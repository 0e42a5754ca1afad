import Domain
import Synchronization

/// Who is at which command: one run or settlement of an id at a time, and which VMs have commands here.
final class CommandClaims: Sendable {
    private struct State {
        /// The ids that someone is at, each with those who wait for its end.
        var claimed: [CommandID: [CheckedContinuation<Turn, Never>]] = [:]
        /// What was received and has not ended, by VM; a repeat counts as often as it came.
        var present: [VMID: [HostCommand]] = [:]
        /// Moves that are to be broken off.
        var cancelledMoves: [VMID: Epoch] = [:]
        /// The inventories that are being collected, each with the VMs that had a command meanwhile.
        var looks: [Int64: Set<VMID>] = [:]
    }

    /// What someone who asked for an id gets.
    enum Turn: Sendable {
        /// The id is theirs until `release`.
        case claimed
        /// Another run of it ended so.
        case ended(CommandOutcome)
    }

    private let state = Mutex(State())

    // MARK: VMs

    /// `command` is here, until `depart`.
    func arrive(_ command: HostCommand) {
        state.withLock { state in
            state.present[command.vm, default: []].append(command)
            for look in state.looks.keys { state.looks[look]?.insert(command.vm) }
        }
    }

    func depart(_ command: HostCommand) {
        state.withLock { state in
            guard var commands = state.present[command.vm] else { return }
            if let index = commands.firstIndex(of: command) { commands.remove(at: index) }
            state.present[command.vm] = commands.isEmpty ? nil : commands
            if case .migrate(let move) = command, state.cancelledMoves[command.vm] == move.epoch {
                state.cancelledMoves[command.vm] = nil
            }
        }
    }

    /// Whether a later wish to end the same epoch's domain, which asks no guest, waits behind `stop`.
    func isOvertaken(_ stop: StopVMCommand) -> Bool { isOvertaken(stop.vm, stop.epoch, by: { $0 > stop.mode }) }

    /// Asks that the move of the epoch's domain be broken off; false when none is here.
    func cancelMove(_ vm: VMID, _ epoch: Epoch) -> Bool {
        state.withLock { state in
            let isHere = (state.present[vm] ?? []).contains { command in
                if case .migrate(let move) = command { return move.epoch == epoch }
                return false
            }
            if isHere { state.cancelledMoves[vm] = epoch }
            return isHere
        }
    }

    func isMoveCancelled(_ vm: VMID, _ epoch: Epoch) -> Bool { state.withLock { $0.cancelledMoves[vm] == epoch } }

    /// Whether a wish to end the epoch's domain waits.
    func isEndAwaited(_ vm: VMID, _ epoch: Epoch) -> Bool { isOvertaken(vm, epoch, by: { _ in true }) }

    private func isOvertaken(_ vm: VMID, _ epoch: Epoch, by isStronger: (StopMode) -> Bool) -> Bool {
        state.withLock { state in
            (state.present[vm] ?? []).contains { other in
                switch other {
                case .start, .control, .prepareMigration, .migrate, .cancelMigration, .completeMigration, .adopt,
                    .release:
                    false
                case .stop(let other): other.epoch == epoch && isStronger(other.mode)
                case .destroy(let other): other.epoch == epoch
                }
            }
        }
    }

    /// An inventory under `number` begins to look at the domains; every VM that has a command from now on until `endLook`
    /// is busy in it.
    func beginLook(_ number: Int64) {
        state.withLock { $0.looks[number] = Set($0.present.keys) }
    }

    func endLook(_ number: Int64) -> [VMID] {
        state.withLock { $0.looks.removeValue(forKey: number) ?? [] }.sorted()
    }

    // MARK: Ids

    /// Waits while someone else is at `id`.
    func claim(_ id: CommandID) async -> Turn {
        await withCheckedContinuation { waiter in
            let isFree = state.withLock { state in
                guard state.claimed[id] == nil else {
                    state.claimed[id]?.append(waiter)
                    return false
                }
                state.claimed[id] = []
                return true
            }
            if isFree { waiter.resume(returning: .claimed) }
        }
    }

    /// Claims `id` if nobody is at it; says whether that is so.
    func claimIfFree(_ id: CommandID) -> Bool {
        state.withLock { state in
            guard state.claimed[id] == nil else { return false }
            state.claimed[id] = []
            return true
        }
    }

    /// Gives `id` back. With an outcome everyone who waits has it; without one the first of them is at it next.
    func release(_ id: CommandID, with outcome: CommandOutcome?) {
        let answered = state.withLock { state -> (waiters: [CheckedContinuation<Turn, Never>], turn: Turn) in
            var waiters = state.claimed.removeValue(forKey: id) ?? []
            if let outcome { return (waiters, .ended(outcome)) }
            guard !waiters.isEmpty else { return ([], .claimed) }
            let next = waiters.removeFirst()
            state.claimed[id] = waiters
            return ([next], .claimed)
        }
        for waiter in answered.waiters { waiter.resume(returning: answered.turn) }
    }
}
