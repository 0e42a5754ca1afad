import Domain
import Logging

/// Carries commands out on this host: looks the domain up, reads its epoch, and acts on that epoch's domain only.
struct CommandRunner: Sendable {
    let hypervisor: any Hypervisor
    let storage: any HostStorage
    let journal: any CommandJournal
    let ledger: any EpochLedger
    let time: any TimeSource
    let faults: any FaultPoints
    let nextSequence: @Sendable () -> Int64
    let logger: Logger

    /// How often a guest that does not react is asked again to power off.
    private let pressInterval: Duration = .seconds(5)
    private let pollInterval: Duration = .milliseconds(100)

    /// Runs `command` to its end. Called for one command of a VM at a time.
    func run(_ command: HostCommand, id: CommandID) async -> CommandOutcome {
        do {
            let outcome =
                switch command {
                case .start(let start): try await run(start, id)
                case .stop(let stop): try await run(stop, id)
                case .destroy(let destroy): try await run(destroy, id)
                }
            await faults.reach("agent-\(command.label).before-record")
            try journal.end(id, outcome)
            return outcome
        } catch let error as HypervisorError {
            return .rejected(error.fault)
        } catch {
            let fault = error as? Fault ?? Fault(.bug, .internalError, "The agent's own disk failed: \(error)")
            logger.error("command broke off", metadata: ["vm": "\(command.vm)", "error": "\(error)"])
            return .rejected(fault)
        }
    }

    // MARK: Start

    private func run(_ start: StartVMCommand, _ id: CommandID) async throws -> CommandOutcome {
        let domain = try await hypervisor.domain(of: start.vm)
        switch EpochGuard.verdict(on: domain, start.epoch) {
        case .match: return .done(result(.started))
        case .other(let found):
            try raise(start.vm, highest: found)
            return .rejected(EpochGuard.stale(start.vm, start.epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(start.vm))
        case .absent: break
        }
        if let refusal = EpochGuard.refusalOfStart(start.vm, start.epoch, try ledger.mark(of: start.vm)) {
            return .rejected(refusal)
        }
        try journal.begin(id, BegunCommand(kind: .start, vm: start.vm, epoch: start.epoch))
        try raise(start.vm, highest: start.epoch)
        let spec: DomainSpec
        do {
            spec = DomainSpec(
                vm: start.vm, epoch: start.epoch, name: start.name, cpus: start.cpus, memory: start.memory,
                boot: try await storage.prepare(start.vm, from: start.image),
                consoleLog: storage.consoleLog(of: start.vm))
        } catch {
            return try await failStart(start, error)
        }
        await faults.reach("agent-start.before-libvirt")
        return try await create(spec, for: start)
    }

    private func create(_ spec: DomainSpec, for start: StartVMCommand) async throws -> CommandOutcome {
        while true {
            let failure: HypervisorError
            do throws(HypervisorError) {
                try await hypervisor.start(spec)
                await faults.reach("agent-start.after-libvirt")
                return .done(result(.started))
            } catch {
                failure = error
            }
            // Whatever libvirt said, what it shows decides: an earlier try may have brought the domain up.
            let verdict = EpochGuard.verdict(on: await domainOnceVisible(start.vm), start.epoch)
            if verdict == .match { return .done(result(.started)) }
            // A libvirt that did not answer may still be about to create the domain. Asking again makes it one or the other.
            if case .unreachable = failure, verdict == .absent { continue }
            return try await failStart(start, failure.fault)
        }
    }

    /// No domain was left, and none of this epoch can come up here any more.
    private func failStart(_ start: StartVMCommand, _ fault: Fault) async throws -> CommandOutcome {
        try raise(start.vm, highest: start.epoch, closed: start.epoch)
        try? await storage.release(start.vm)
        return .failed(fault)
    }

    // MARK: Stop

    private func run(_ stop: StopVMCommand, _ id: CommandID) async throws -> CommandOutcome {
        let domain = try await hypervisor.domain(of: stop.vm)
        switch EpochGuard.verdict(on: domain, stop.epoch) {
        case .other(let found):
            try raise(stop.vm, highest: found)
            return .rejected(EpochGuard.stale(stop.vm, stop.epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(stop.vm))
        case .absent:
            try raise(stop.vm, highest: stop.epoch, closed: stop.epoch)
            try await storage.release(stop.vm)
            guard stop.ignoreNotFound else {
                return .rejected(
                    Fault(.conflict, .domainNotFound, "There is no domain of VM \(stop.vm) on this host."))
            }
            return .done(result(.notFound))
        case .match: break
        }
        try journal.begin(id, BegunCommand(kind: .stop, vm: stop.vm, epoch: stop.epoch))
        try raise(stop.vm, highest: stop.epoch, closed: stop.epoch)
        await faults.reach("agent-stop.before-libvirt")
        if stop.mode == .grace { await askGuest(stop) }
        if let fault = await end(stop.vm, stop.epoch, isForced: stop.mode == .force) { return .failed(fault) }
        await faults.reach("agent-stop.after-libvirt")
        try await storage.release(stop.vm)
        return .done(result(.stopped))
    }

    /// Presses the guest's power button until its domain is gone or its time is up.
    private func askGuest(_ stop: StopVMCommand) async {
        let deadline = time.monotonic() + stop.timeout
        var nextPress = time.monotonic()
        while time.monotonic() < deadline, !Task.isCancelled {
            if time.monotonic() >= nextPress {
                try? await hypervisor.pressPowerButton(of: stop.vm)
                nextPress = time.monotonic() + pressInterval
            }
            guard EpochGuard.verdict(on: await domainOnceVisible(stop.vm), stop.epoch) == .match else { return }
            try? await time.sleep(for: pollInterval)
        }
    }

    /// Cuts the power of the domain of `epoch` and verifies that it is gone; why not, if it is not.
    private func end(_ vm: VMID, _ epoch: Epoch, isForced: Bool) async -> Fault? {
        // The graceful part took time: whatever is there now has to be this epoch's still.
        guard EpochGuard.verdict(on: await domainOnceVisible(vm), epoch) == .match else { return nil }
        var failure: HypervisorError?
        do throws(HypervisorError) {
            try await hypervisor.cutPower(of: vm)
        } catch {
            failure = error
            // libvirt fell silent just after it had shown this epoch's domain: nothing can have taken its place.
            if isForced, case .unreachable = error { try? await hypervisor.killProcess(of: vm) }
        }
        guard EpochGuard.verdict(on: await domainOnceVisible(vm), epoch) == .match else { return nil }
        let fault = (failure ?? .failed("libvirt ended the domain, and it is still there.")).fault
        guard isForced else {
            return Fault(fault.kind, fault.code, fault.message, hint: "Stop it with --mode force to kill its QEMU.")
        }
        do throws(HypervisorError) { try await hypervisor.killProcess(of: vm) } catch { return error.fault }
        let deadline = time.monotonic() + .seconds(10)
        while time.monotonic() < deadline {
            guard EpochGuard.verdict(on: await domainOnceVisible(vm), epoch) == .match else { return nil }
            try? await time.sleep(for: pollInterval)
        }
        return Fault(.unavailable, .commandFailed, "QEMU was killed, and libvirt still shows the domain.")
    }

    // MARK: Destroy

    private func run(_ destroy: DestroyVMCommand, _ id: CommandID) async throws -> CommandOutcome {
        let domain = try await hypervisor.domain(of: destroy.vm)
        let verdict = EpochGuard.verdict(on: domain, destroy.epoch)
        switch verdict {
        case .other(let found):
            return .rejected(EpochGuard.stale(destroy.vm, destroy.epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(destroy.vm))
        case .absent, .match: break
        }
        try journal.begin(id, BegunCommand(kind: .destroy, vm: destroy.vm, epoch: destroy.epoch))
        try raise(destroy.vm, highest: destroy.epoch, closed: destroy.epoch)
        await faults.reach("agent-destroy.before-libvirt")
        if verdict == .match, let fault = await end(destroy.vm, destroy.epoch, isForced: true) { return .failed(fault) }
        await faults.reach("agent-destroy.after-libvirt")
        if destroy.removesDisk { try await storage.remove(destroy.vm) } else { try await storage.release(destroy.vm) }
        return .done(result(.destroyed))
    }

    // MARK: Parts

    /// The VM's domain, waiting for libvirt to answer if it does not: once a command has begun, its end is what libvirt
    /// shows and nothing else. The server's own limit makes such an end unknown, and it asks again.
    private func domainOnceVisible(_ vm: VMID) async -> ObservedDomain? {
        while true {
            do throws(HypervisorError) { return try await hypervisor.domain(of: vm) } catch {
                logger.warning("libvirt does not answer; a command waits for it", metadata: ["vm": "\(vm)"])
            }
            try? await time.sleep(for: pollInterval * 5)
        }
    }

    /// How a command ended that an earlier run of the agent died in; nil if that can only be found out by running it again.
    func settle(_ begun: BegunCommand, id: CommandID) async throws -> CommandOutcome? {
        let domain: ObservedDomain?
        do throws(HypervisorError) { domain = try await hypervisor.domain(of: begun.vm) } catch { return nil }
        let outcome: CommandOutcome
        switch (begun.kind, EpochGuard.verdict(on: domain, begun.epoch)) {
        case (.start, .match): outcome = .done(result(.started))
        case (.stop, .absent): outcome = .done(result(.stopped))
        case (.stop, .match), (.destroy, .match):
            outcome = .failed(
                Fault(.unavailable, .commandFailed, "The agent was restarted before the command took effect."))
        // The domain may still be on its way up, and what a destroy left is not known.
        case (.start, .absent), (.destroy, .absent): return nil
        case (_, .other(let found)):
            outcome = .rejected(EpochGuard.stale(begun.vm, begun.epoch, "a domain of epoch \(found) runs here"))
        case (_, .unreadable): return nil
        }
        try journal.end(id, outcome)
        return outcome
    }

    private func raise(_ vm: VMID, highest: Epoch, closed: Epoch = .none) throws {
        try ledger.raise(vm, to: EpochMark(highest: highest, closed: closed))
    }

    private func result(_ effect: CommandResult.Effect) -> CommandResult {
        CommandResult(effect: effect, sequence: nextSequence())
    }

    private func unreadable(_ vm: VMID) -> Fault {
        Fault(
            .conflict, .epochConflict, "The domain of VM \(vm) has no readable epoch, so nothing may touch it.",
            hint: "Look at its metadata with virsh dumpxml, and end it by hand if it is not wanted.")
    }
}

extension HypervisorError {
    /// The error in the words of the server's API.
    var fault: Fault {
        switch self {
        case .unreachable(let why): Fault(.unavailable, .libvirtUnavailable, "libvirt does not answer: \(why)")
        case .noDomain: Fault(.conflict, .domainNotFound, "There is no such domain on this host.")
        case .failed(let why): Fault(.unavailable, .commandFailed, "libvirt refused: \(why)")
        }
    }
}
