import Domain
import Logging

/// Carries commands out on this host: looks the domain up, reads its epoch, and acts on that epoch's domain only.
///
/// Every method breaks off with `CancellationError` when its task is cancelled at a moment at which the command's end is not
/// known: an agent that is stopped neither invents an end nor cuts a guest's time short.
struct CommandRunner: Sendable {
    let hypervisor: any Hypervisor
    let storage: any HostStorage
    let channel: any MigrationChannel
    let journal: any CommandJournal
    let ledger: any EpochLedger
    let time: any TimeSource
    let faults: any FaultPoints
    let nextSequence: @Sendable () -> Int64
    /// Whether a stronger wish for the same epoch waits behind the stop.
    let isOvertaken: @Sendable (StopVMCommand) -> Bool
    /// Whether a wish to end the domain of the VM's epoch waits behind the command.
    let isEndAwaited: @Sendable (VMID, Epoch) -> Bool
    /// How often the guest has booted anew while this agent watched.
    let reboots: @Sendable (VMID) -> Int
    /// Whether the move of the VM's epoch is to be broken off.
    let isMoveCancelled: @Sendable (VMID, Epoch) -> Bool
    /// The way to the VM for what comes from another agent, and not as a command.
    let queues: VMQueues
    let reportProgress: @Sendable (VMID, Epoch, MigrationProgress) -> Void
    let logger: Logger

    /// How often a guest that does not react is asked again to power off.
    let pressInterval: Duration = .seconds(5)
    let pollInterval: Duration = .milliseconds(100)
    let retryInterval: Duration = .milliseconds(500)
    /// How long libvirt may show a domain as starting before its start is answered as unknown.
    let startLimit: Duration = .seconds(15)

    /// One run of one command.
    struct Run {
        let id: CommandID
        /// The agent died in an earlier run, which may have had any effect.
        let isResumed: Bool
        /// Taken before the run looked: whatever is reported of the domain that it leaves has a higher number.
        let sequence: Int64

        func done(_ effect: CommandResult.Effect) -> CommandOutcome {
            .done(CommandResult(effect: effect, sequence: sequence))
        }
    }

    /// Runs `command` to its end. Called for one command of a VM at a time.
    ///
    /// - Parameter isResumed: whether the journal shows that an earlier run began it.
    func run(_ command: HostCommand, id: CommandID, isResumed: Bool) async throws(CancellationError) -> CommandOutcome {
        let run = Run(id: id, isResumed: isResumed, sequence: nextSequence())
        let outcome: CommandOutcome
        do {
            switch command {
            case .start(let start): outcome = try await self.run(start, run)
            case .stop(let stop): outcome = try await self.run(stop, run)
            case .destroy(let destroy): outcome = try await self.run(destroy, run)
            case .control(let control): outcome = try await self.run(control, run)
            case .prepareMigration(let prepare): outcome = try await self.run(prepare, run)
            case .migrate(let migrate): outcome = try await self.run(migrate, run)
            case .adopt(let adopt): outcome = try await self.run(adopt, run)
            case .release(let release): outcome = try await self.run(release, run)
            case .completeMigration(let complete): outcome = try await self.run(complete, run)
            case .cancelMigration: return .rejected(.noMove)
            }
        } catch let error as CancellationError {
            throw error
        } catch let error as StillStarting {
            return .rejected(error.fault)
        } catch let error as HypervisorError {
            outcome = .rejected(error.fault)
            // A stop or a destroy may be sent again under its id once libvirt answers. A rejected start is over for the
            // server, so that a copy of it must not run later. A server that sends a copy has not relied on the first
            // answer: what it is told then is a proof, and not that libvirt is silent, which would have it wait for good.
            guard case .start = command else { return outcome }
            await faults.reach("agent-start.before-record")
            record(.rejected(.neverStarted(error.fault)), of: id)
            return outcome
        } catch {
            logger.error(
                "command broke off",
                metadata: ["id": "\(id)", "vm": "\(command.vm)", "epoch": "\(command.epoch)", "error": "\(error)"])
            outcome = .rejected(diskFault(error))
        }
        await faults.reach("agent-\(command.label).before-record")
        record(outcome, of: id)
        return outcome
    }

    /// Answers a command of which the journal cannot tell whether it ran before, without running it, now or later.
    func refuse(
        _ command: HostCommand, id: CommandID, _ fault: Fault
    ) async throws(CancellationError) -> CommandOutcome {
        let run = Run(id: id, isResumed: true, sequence: nextSequence())
        var outcome = CommandOutcome.rejected(fault)
        // Of a start a rejection says that there is no domain.
        if case .start = command {
            switch try await verdictOnceClear(command.vm, command.epoch) {
            case .success(.match): outcome = run.done(.started)
            case .success(.absent), .success(.other), .success(.unreadable): break
            case .failure(let error): return .rejected(error.fault)
            }
        }
        record(outcome, of: id)
        return outcome
    }

    private func record(_ outcome: CommandOutcome, of id: CommandID) {
        do { try journal.end(id, outcome) } catch {
            // What happened has happened: a repeat finds the same end out again.
            logger.error("cannot record a command's end", metadata: ["id": "\(id)", "error": "\(error)"])
        }
    }

    // MARK: Start

    private func run(_ start: StartVMCommand, _ run: Run) async throws -> CommandOutcome {
        switch try await firstVerdict(of: start, run) {
        case .match: return run.done(.started)
        case .other(let found):
            try raise(start.vm, highest: found)
            return .rejected(EpochGuard.stale(start.vm, start.epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(start.vm))
        case .absent: break
        }
        let mark = try ledger.mark(of: start.vm)
        if let refusal = EpochGuard.refusalOfStart(start.vm, start.epoch, mark, isResumed: run.isResumed) {
            return .rejected(refusal)
        }
        try journal.begin(run.id, BegunCommand(kind: .start, vm: start.vm, epoch: start.epoch))
        try raise(start.vm, highest: start.epoch)
        let spec: DomainSpec
        do throws(Fault) {
            spec = DomainSpec(
                vm: start.vm, epoch: start.epoch, name: start.name, cpus: start.cpus, memory: start.memory,
                boot: try await storage.prepare(start.vm, from: start.image, mayMakeDisk: true),
                consoleLog: storage.consoleLog(of: start.vm))
        } catch {
            try Task.checkCancellation()
            return await failStart(start, .absent, error)
        }
        await faults.reach("agent-start.before-libvirt")
        return try await create(spec, for: start, run)
    }

    private func create(_ spec: DomainSpec, for start: StartVMCommand, _ run: Run) async throws -> CommandOutcome {
        while true {
            let failure: HypervisorError
            do throws(HypervisorError) {
                try await hypervisor.start(spec)
                await faults.reach("agent-start.after-libvirt")
                return run.done(.started)
            } catch {
                failure = error
            }
            // Whatever libvirt said, what it shows decides: an earlier try may have brought the domain up.
            let verdict = try await verdictOnceClear(start.vm, start.epoch).get()
            if verdict == .match { return run.done(.started) }
            guard case .unreachable = failure, verdict == .absent else {
                return await failStart(start, verdict, failure.fault)
            }
            // A libvirt that did not answer may still be about to create the domain. Asking again makes it one or the other.
            try await pause(retryInterval)
        }
    }

    /// No domain was left, and none of this epoch can come up here any more.
    private func failStart(
        _ start: StartVMCommand, _ verdict: EpochGuard.Verdict, _ fault: Fault
    ) async -> CommandOutcome {
        do { try raise(start.vm, highest: start.epoch, closed: start.epoch) } catch {
            // The command's recorded end refuses it as well.
            logger.error(
                "cannot close an epoch",
                metadata: ["vm": "\(start.vm)", "epoch": "\(start.epoch)", "error": "\(error)"])
        }
        if verdict == .absent { try? await storage.release(start.vm) }
        return .failed(fault)
    }

    // MARK: Stop

    private func run(_ stop: StopVMCommand, _ run: Run) async throws -> CommandOutcome {
        // Also ends the waiting for a guest that was to come with this epoch.
        await channel.close(stop.vm, upTo: stop.epoch)
        let process = stop.mode == .force ? await processBeforeLook(of: stop.vm) : nil
        switch try await firstVerdict(stop.vm, stop.epoch, run) {
        case .other(let found):
            try raise(stop.vm, highest: found)
            return .rejected(EpochGuard.stale(stop.vm, stop.epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(stop.vm))
        case .absent:
            try raise(stop.vm, highest: stop.epoch, closed: stop.epoch)
            try await storage.release(stop.vm)
            // The domain was there when the command began.
            if run.isResumed { return run.done(.stopped) }
            guard stop.ignoreNotFound else {
                return .rejected(.noDomain(stop.vm))
            }
            return run.done(.notFound)
        case .match: break
        }
        try journal.begin(run.id, BegunCommand(kind: .stop, vm: stop.vm, epoch: stop.epoch))
        try raise(stop.vm, highest: stop.epoch, closed: stop.epoch)
        await faults.reach("agent-stop.before-libvirt")
        if stop.mode == .grace { try await askGuest(stop) }
        switch try await end(stop.vm, stop.epoch, process, isForced: stop.mode == .force) {
        case .stays(let fault): return .failed(fault)
        case .replaced: return run.done(.stopped)
        case .gone: break
        }
        await faults.reach("agent-stop.after-libvirt")
        do throws(Fault) { try await storage.release(stop.vm) } catch { return .failed(error) }
        return run.done(.stopped)
    }

    /// Presses the guest's power button until its domain is gone, its time is up or a stronger stop waits.
    private func askGuest(_ stop: StopVMCommand) async throws(CancellationError) {
        let deadline = time.monotonic() + stop.timeout
        var nextPress = time.monotonic()
        while time.monotonic() < deadline, !isOvertaken(stop) {
            guard try await verdictOnceVisible(stop.vm, stop.epoch) == .match else { return }
            if time.monotonic() >= nextPress {
                try? await hypervisor.pressPowerButton(of: stop.vm)
                nextPress = time.monotonic() + pressInterval
            }
            try await pause(pollInterval)
        }
    }

    /// What came of ending a domain.
    private enum Ending {
        /// libvirt shows none of the VM.
        case gone
        /// A domain of another epoch has taken its place: what the VM holds on the host is that one's.
        case replaced(Epoch)
        case stays(Fault)

        /// nil while the domain is still there.
        init?(_ verdict: EpochGuard.Verdict, unreadable: @autoclosure () -> Fault) {
            switch verdict {
            case .absent: self = .gone
            case .other(let found): self = .replaced(found)
            case .unreadable: self = .stays(unreadable())
            case .match: return nil
            }
        }
    }

    /// The VM's process, before libvirt is asked whose domain runs: if libvirt then shows the command's epoch, a process
    /// that is still alive later is that domain's, also when libvirt has fallen silent.
    private func processBeforeLook(of vm: VMID) async -> (any GuestProcess)? {
        do throws(HypervisorError) { return try await hypervisor.process(of: vm) } catch {
            logger.warning("cannot look for a QEMU process", metadata: ["vm": "\(vm)", "error": "\(error)"])
            return nil
        }
    }

    private func isLibvirtSilent(about vm: VMID) async -> Bool {
        do throws(HypervisorError) { _ = try await hypervisor.domain(of: vm) } catch {
            if case .unreachable = error { return true }
        }
        return false
    }

    /// Cuts the power of the domain of `epoch` and verifies that it is gone; kills `process` where libvirt does not do it.
    private func end(
        _ vm: VMID, _ epoch: Epoch, _ process: (any GuestProcess)?, isForced: Bool
    ) async throws(CancellationError) -> Ending {
        if let process, await isLibvirtSilent(about: vm) { try? await process.kill() }
        // The graceful part took time: whatever is there now has to be this epoch's still.
        if let ending = try await ending(vm, epoch) { return ending }
        var failure: HypervisorError?
        do throws(HypervisorError) {
            try await hypervisor.cutPower(of: vm)
        } catch {
            failure = error
            if case .unreachable = error { try? await process?.kill() }
        }
        if let ending = try await ending(vm, epoch) { return ending }
        let fault = (failure ?? .failed("libvirt ended the domain, and it is still there.")).fault
        guard isForced else {
            return .stays(
                Fault(fault.kind, fault.code, fault.message, hint: "Stop it with --mode force to kill its QEMU."))
        }
        guard let process else {
            return .stays(Fault(fault.kind, fault.code, "\(fault.message) Its QEMU process was not found."))
        }
        do throws(HypervisorError) { try await process.kill() } catch { return .stays(error.fault) }
        let deadline = time.monotonic() + .seconds(10)
        while time.monotonic() < deadline {
            if let ending = try await ending(vm, epoch) { return ending }
            try await pause(pollInterval)
        }
        return .stays(
            Fault(
                .unavailable, .commandFailed, "QEMU was killed, and libvirt still shows the domain.",
                hint: "Restart libvirtd on the host, and ask again."))
    }

    private func ending(_ vm: VMID, _ epoch: Epoch) async throws(CancellationError) -> Ending? {
        Ending(try await verdictOnceVisible(vm, epoch), unreadable: unreadable(vm))
    }

    // MARK: Destroy

    private func run(_ destroy: DestroyVMCommand, _ run: Run) async throws -> CommandOutcome {
        await channel.close(destroy.vm, upTo: destroy.epoch)
        let process = await processBeforeLook(of: destroy.vm)
        let verdict = try await firstVerdict(destroy.vm, destroy.epoch, run)
        switch verdict {
        case .other(let found):
            return .rejected(EpochGuard.stale(destroy.vm, destroy.epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(destroy.vm))
        case .absent, .match: break
        }
        if destroy.removesDisk,
            let refusal = EpochGuard.refusalOfRemoval(destroy.vm, destroy.epoch, try ledger.mark(of: destroy.vm))
        {
            return .rejected(refusal)
        }
        try journal.begin(run.id, BegunCommand(kind: .destroy, vm: destroy.vm, epoch: destroy.epoch))
        try raise(destroy.vm, highest: destroy.epoch, closed: destroy.epoch)
        await faults.reach("agent-destroy.before-libvirt")
        if verdict == .match {
            switch try await end(destroy.vm, destroy.epoch, process, isForced: true) {
            case .stays(let fault): return .failed(fault)
            case .replaced(let found):
                return .failed(EpochGuard.stale(destroy.vm, destroy.epoch, "a domain of epoch \(found) runs here"))
            case .gone: break
            }
        }
        await faults.reach("agent-destroy.after-libvirt")
        do throws(Fault) {
            if destroy.removesDisk {
                try await storage.remove(destroy.vm)
            } else {
                try await storage.release(destroy.vm)
            }
        } catch {
            return .failed(error)
        }
        return run.done(.destroyed)
    }

    // MARK: After a restart

    /// How a command ended that an earlier run of the agent died in; nil if that can only be found out by running it again.
    ///
    /// Called for one command of a VM at a time, as `run` is.
    func settle(_ begun: BegunCommand, id: CommandID) async throws -> CommandOutcome? {
        let run = Run(id: id, isResumed: true, sequence: nextSequence())
        let domain: ObservedDomain?
        do throws(HypervisorError) { domain = try await hypervisor.domain(of: begun.vm) } catch { return nil }
        let outcome: CommandOutcome
        switch (begun.kind, EpochGuard.verdict(on: domain, begun.epoch)) {
        case (.start, .match):
            if domain?.state == .starting { return nil }
            outcome = run.done(.started)
        case (.stop, .absent):
            try await storage.release(begun.vm)
            outcome = run.done(.stopped)
        case (.pause, .match), (.resume, .match), (.reset, .match), (.reboot, .match), (.pause, .absent),
            (.resume, .absent), (.reset, .absent), (.reboot, .absent):
            outcome = controlOutcome(of: begun.kind, domain, run)
        case (.stop, .match), (.destroy, .match):
            outcome = .failed(
                Fault(.unavailable, .commandFailed, "The agent was restarted before the command took effect."))
        // The way in went with the agent, and nobody was told of it.
        case (.prepareMigration, .match), (.prepareMigration, .absent): outcome = .failed(.cutShort)
        case (.migrate, .match), (.migrate, .absent):
            if try await isMoving(begun.vm) { return nil }
            outcome = .failed(.cutShort)
        case (.adopt, .match), (.completeMigration, .match):
            outcome = .failed(
                Fault(.unavailable, .commandFailed, "The agent was restarted before the command took effect."))
        case (.completeMigration, .absent): outcome = .failed(.noDomain(begun.vm))
        // The domain may have the new epoch, which is not known here.
        case (.adopt, .absent): return nil
        // The domain may still be on its way up, and what a destroy left is not known.
        case (.start, .absent), (.destroy, .absent): return nil
        case (_, .other(let found)):
            outcome = .rejected(EpochGuard.stale(begun.vm, begun.epoch, "a domain of epoch \(found) runs here"))
        case (_, .unreadable): return nil
        }
        try journal.end(id, outcome)
        return outcome
    }

    // MARK: Parts

    func pause(_ duration: Duration) async throws(CancellationError) {
        do { try await time.sleep(for: duration) } catch { throw CancellationError() }
    }

    func diskFault(_ error: any Error) -> Fault {
        error as? Fault ?? Fault(.unavailable, .internalError, "The agent's own disk failed: \(error)")
    }

    func raise(_ vm: VMID, highest: Epoch, closed: Epoch = .none) throws {
        try ledger.raise(vm, to: EpochMark(highest: highest, closed: closed))
    }

    func unreadable(_ vm: VMID) -> Fault {
        Fault(
            .conflict, .epochConflict, "The domain of VM \(vm) has no readable epoch, so nothing may touch it.",
            hint: "Look at its metadata with virsh dumpxml, and end it by hand if it is not wanted.")
    }
}
