import Domain

extension CommandRunner {
    /// Gives the domain of the command's epoch the granted one.
    func run(_ command: AdoptVMCommand, _ run: Run) async throws -> CommandOutcome {
        let (vm, granted) = (command.vm, command.grantedEpoch)
        switch try await firstVerdict(vm, command.epoch, run) {
        // An earlier run came as far as that.
        case .other(granted): return try adopted(command, run)
        case .other(let found):
            try raise(vm, highest: found)
            return .rejected(EpochGuard.stale(vm, command.epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(vm))
        case .absent:
            return .rejected(.noDomain(vm))
        case .match: break
        }
        let mark = try ledger.mark(of: vm)
        guard granted > mark.highest || (granted == mark.highest && run.isResumed) else {
            return .rejected(EpochGuard.stale(vm, granted, "this host has seen epoch \(mark.highest)"))
        }
        try journal.begin(run.id, BegunCommand(kind: .adopt, vm: vm, epoch: command.epoch))
        await faults.reach("agent-adopt.before-libvirt")
        try await hypervisor.setEpoch(granted, of: vm)
        await faults.reach("agent-adopt.after-libvirt")
        guard try await verdictOnceVisible(vm, granted) == .match else {
            return .failed(Fault(.unavailable, .commandFailed, "libvirt does not show the domain's new epoch."))
        }
        return try adopted(command, run)
    }

    /// The old epoch is over here.
    private func adopted(_ command: AdoptVMCommand, _ run: Run) throws -> CommandOutcome {
        try raise(command.vm, highest: command.grantedEpoch, closed: command.epoch)
        return run.done(.adopted)
    }
}
