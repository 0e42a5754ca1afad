import Domain

extension CommandRunner {
    /// Removes what a placement that is over has left here, and nothing that a later one uses.
    func run(_ release: ReleaseVMCommand, _ run: Run) async throws -> CommandOutcome {
        let (vm, epoch) = (release.vm, release.epoch)
        switch try await firstVerdict(vm, epoch, run) {
        case .match:
            return .rejected(
                Fault(
                    .conflict, .placementUnresolved,
                    "A domain of VM \(vm) with epoch \(epoch) is on this host, though the placement is over.",
                    hint: "It has to be ended first: roost host orphans shows it."))
        case .other(let found):
            try raise(vm, highest: found)
            return .rejected(EpochGuard.stale(vm, epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(vm))
        case .absent: break
        }
        if let refusal = EpochGuard.refusalOfRemoval(vm, epoch, try ledger.mark(of: vm)) { return .rejected(refusal) }
        // No late start of this epoch may write to the log from here on.
        try raise(vm, highest: epoch, closed: epoch)
        await faults.reach("agent-release.before-removal")
        do throws(Fault) { try await storage.removeConsoleLog(of: vm) } catch { return .failed(error) }
        return run.done(.released)
    }
}
