import Domain

extension CommandRunner {
    /// Pauses, resumes, resets or reboots the domain of the command's epoch.
    func run(_ command: ControlVMCommand, _ run: Run) async throws -> CommandOutcome {
        let (vm, epoch, control) = (command.vm, command.epoch, command.control)
        switch try await firstVerdict(vm, epoch, run) {
        case .other(let found):
            try raise(vm, highest: found)
            return .rejected(EpochGuard.stale(vm, epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(vm))
        case .absent:
            return .rejected(.noDomain(vm))
        case .match: break
        }
        let kind = BegunCommand.Kind(control)
        if run.isResumed { return controlOutcome(of: kind, try await domainOnceVisible(vm), run) }
        try journal.begin(run.id, BegunCommand(kind: kind, vm: vm, epoch: epoch))
        await faults.reach("agent-\(control.rawValue).before-libvirt")
        if control == .reboot, let outcome = try await askToReboot(command, run) { return outcome }
        do throws(HypervisorError) {
            try await hypervisor.control(control == .reboot ? .reset : control, of: vm)
        } catch {
            guard case .unreachable = error else { return .failed(error.fault) }
            return controlOutcome(of: kind, try await domainOnceVisible(vm), run)
        }
        await faults.reach("agent-\(control.rawValue).after-libvirt")
        return run.done(control.effect)
    }

    /// Presses the guest's power button until it boots anew; nil when its time is up.
    private func askToReboot(_ command: ControlVMCommand, _ run: Run) async throws(CancellationError) -> CommandOutcome?
    {
        let (vm, epoch) = (command.vm, command.epoch)
        let before = reboots(vm)
        let deadline = time.monotonic() + command.timeout
        var nextPress = time.monotonic()
        while time.monotonic() < deadline {
            if reboots(vm) != before { return run.done(.rebooted) }
            if isEndAwaited(vm, epoch) {
                return .failed(Fault(.conflict, .superseded, "The VM is to be stopped: its reboot was given up."))
            }
            switch try await verdictOnceVisible(vm, epoch) {
            case .match: break
            case .absent: return .failed(Fault(.conflict, .domainNotFound, "The guest ended instead of booting anew."))
            case .other(let found):
                return .failed(EpochGuard.stale(vm, epoch, "a domain of epoch \(found) runs here"))
            case .unreadable: return .failed(unreadable(vm))
            }
            if time.monotonic() >= nextPress {
                try? await hypervisor.control(.reboot, of: vm)
                nextPress = time.monotonic() + pressInterval
            }
            try await pause(pollInterval)
        }
        return nil
    }

    /// How a command of `kind` ended whose answer was lost here, as far as the domain shows it. It is not done again: a guest
    /// that was reset or resumed once may have gone on since.
    func controlOutcome(of kind: BegunCommand.Kind, _ domain: ObservedDomain?, _ run: Run) -> CommandOutcome {
        switch (kind, domain?.state) {
        case (.pause, .paused): run.done(.paused)
        case (.resume, .running): run.done(.resumed)
        default:
            .failed(
                Fault(
                    .unavailable, .commandFailed,
                    "The \(kind.rawValue) was cut short, and whether it took effect cannot be seen.",
                    hint: "Look at the guest, and ask again if need be."))
        }
    }
}

extension BegunCommand.Kind {
    fileprivate init(_ control: GuestControl) {
        self =
            switch control {
            case .pause: .pause
            case .resume: .resume
            case .reset: .reset
            case .reboot: .reboot
            }
    }
}
