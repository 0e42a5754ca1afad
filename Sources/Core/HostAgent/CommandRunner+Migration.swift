import Domain
import Logging

extension CommandRunner {
    // MARK: At the destination

    /// Makes this host ready for a guest that comes with the command's epoch.
    func run(_ command: PrepareMigrationCommand, _ run: Run) async throws -> CommandOutcome {
        let (vm, epoch) = (command.vm, command.epoch)
        switch try await firstVerdict(vm, epoch, run) {
        case .other(let found):
            try raise(vm, highest: found)
            return .rejected(EpochGuard.stale(vm, epoch, "a domain of epoch \(found) runs here"))
        case .match: return .rejected(EpochGuard.stale(vm, epoch, "its domain runs here"))
        case .unreadable: return .rejected(unreadable(vm))
        case .absent: break
        }
        let mark = try ledger.mark(of: vm)
        if let refusal = EpochGuard.refusalOfStart(vm, epoch, mark, isResumed: run.isResumed) {
            return .rejected(refusal)
        }
        try journal.begin(run.id, BegunCommand(kind: .prepareMigration, vm: vm, epoch: epoch))
        try raise(vm, highest: epoch)
        do {
            // What an earlier stay left would shine through what is copied over it.
            if command.copiesStorage { try await storage.remove(vm) }
            let boot = try await storage.prepare(vm, from: command.image, mayMakeDisk: command.copiesStorage)
            let type = try await hypervisor.facts().domainType
            let door = try await channel.open(
                for: vm, epoch, from: command.source, land: { await land(vm, epoch, on: $0) })
            let landing = MigrationLanding(
                address: door.address, port: door.port, domainType: type, boot: boot,
                consoleLog: storage.consoleLog(of: vm), socketDirectory: door.socketDirectory)
            await faults.reach("agent-prepare-migration.after-open")
            return .done(CommandResult(effect: .prepared, sequence: run.sequence, landing: landing))
        } catch {
            try Task.checkCancellation()
            await channel.close(vm, upTo: epoch)
            try raise(vm, highest: epoch, closed: epoch)
            return .failed((error as? HypervisorError)?.fault ?? diskFault(error))
        }
    }

    /// Lets the guest that has arrived go on: its source has let it go.
    func run(_ command: CompleteMigrationCommand, _ run: Run) async throws -> CommandOutcome {
        let (vm, epoch) = (command.vm, command.epoch)
        // The source's own word would come too late from now on: whoever pauses the guest next wants it to stay paused.
        await channel.close(vm, upTo: epoch)
        switch try await firstVerdict(vm, epoch, run) {
        case .other(let found):
            try raise(vm, highest: found)
            return .rejected(EpochGuard.stale(vm, epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(vm))
        case .absent: return .rejected(.noDomain(vm))
        case .match: break
        }
        try journal.begin(run.id, BegunCommand(kind: .completeMigration, vm: vm, epoch: epoch))
        await faults.reach("agent-complete-migration.before-libvirt")
        switch try await land(vm, epoch, resumes: command.resumes) {
        case .success(let effect): return run.done(effect)
        case .failure(let fault): return .failed(fault)
        }
    }

    /// The source's agent says that the guest has left it.
    private func land(_ vm: VMID, _ epoch: Epoch, on word: LandingWord) async -> Bool {
        await faults.reach("agent-prepare-migration.word")
        return await queues.run(vm) {
            // A command that came meanwhile has settled it.
            guard channel.isOpen(vm, epoch) else { return false }
            do {
                _ = try await land(vm, epoch, resumes: word == .resume).get()
                return true
            } catch {
                logger.warning(
                    "a guest that has arrived cannot go on yet; the server is to say so again",
                    metadata: ["vm": "\(vm)", "epoch": "\(epoch)", "error": "\(error)"])
                return false
            }
        }
    }

    private func land(
        _ vm: VMID, _ epoch: Epoch, resumes: Bool
    ) async throws(CancellationError) -> Result<CommandResult.Effect, Fault> {
        while true {
            let domain = try await domainOnceVisible(vm)
            switch (EpochGuard.verdict(on: domain, epoch), domain?.state) {
            case (.match, .running): return .success(.resumed)
            case (.match, .paused) where !resumes: return .success(.paused)
            case (.match, .paused): break
            case (.match, _): return .failure(.stillArriving)
            case (.absent, _): return .failure(.noDomain(vm))
            case (.other(let found), _):
                return .failure(EpochGuard.stale(vm, epoch, "a domain of epoch \(found) runs here"))
            case (.unreadable, _): return .failure(unreadable(vm))
            }
            do throws(HypervisorError) {
                try await hypervisor.control(.resume, of: vm)
                return .success(.resumed)
            } catch {
                guard case .unreachable = error else { return .failure(error.fault) }
            }
            try await pause(retryInterval)
        }
    }

    // MARK: At the source

    /// Moves the domain of the command's epoch to the prepared host. Whatever else comes of it than an arrival, the server
    /// asks both hosts.
    func run(_ command: MigrateVMCommand, _ run: Run) async throws -> CommandOutcome {
        let (vm, epoch) = (command.vm, command.epoch)
        switch try await firstVerdict(vm, epoch, run) {
        case .other(let found):
            try raise(vm, highest: found)
            return .rejected(EpochGuard.stale(vm, epoch, "a domain of epoch \(found) runs here"))
        case .unreadable: return .rejected(unreadable(vm))
        case .absent:
            guard run.isResumed else {
                return .rejected(.noDomain(vm))
            }
            return .failed(.cutShort)
        case .match: break
        }
        if run.isResumed {
            // The sockets went with the agent, so libvirt gives it up soon, if it has not brought it to its end.
            while try await isMoving(vm) { try await pause(retryInterval) }
            if !command.options.allowsPostCopy { try await letGoOn(vm, epoch) }
            return .failed(.cutShort)
        }
        if let refusal = refusal(of: command, type: try await hypervisor.facts().domainType) {
            return .rejected(refusal)
        }
        try journal.begin(run.id, BegunCommand(kind: .migrate, vm: vm, epoch: epoch))
        await faults.reach("agent-migrate.before-libvirt")
        let outcome = try await move(command, run)
        await channel.close(vm, upTo: command.arrivalEpoch)
        return outcome
    }

    private func refusal(of command: MigrateVMCommand, type: String) -> Fault? {
        guard command.landing.domainType == type else {
            return Fault(
                .conflict, .migrationImpossible,
                "This host runs guests as '\(type)', and the other as '\(command.landing.domainType)'.",
                hint: "Move it to a host of the same kind, or stop it and start it there.")
        }
        return nil
    }

    private func move(_ command: MigrateVMCommand, _ run: Run) async throws -> CommandOutcome {
        let (vm, epoch) = (command.vm, command.epoch)
        let sockets: MigrationSockets
        do throws(Fault) {
            sockets = try await channel.connect(
                vm, command.arrivalEpoch, to: command.destination, at: command.landing)
        } catch {
            return .failed(error)
        }
        let wasPaused = try await domainOnceVisible(vm)?.state == .paused
        var migration = DomainMigration(
            vm: vm, arrivalEpoch: command.arrivalEpoch, landing: command.landing, options: command.options,
            sockets: sockets)
        var end = try await carry(migration, from: epoch)
        if case .late = end, command.options.allowsPostCopy {
            migration.turnsToPostCopy = true
            end = try await carry(migration, from: epoch)
        }
        await faults.reach("agent-migrate.after-libvirt")
        // Whatever libvirt said, what it shows decides: where the domain is still here, it has not arrived.
        switch (try await verdictOnceVisible(vm, epoch), end.failure) {
        case (.absent, nil), (.other, nil):
            let word: LandingWord = wasPaused ? .stayPaused : .resume
            let hasLanded = await channel.tell(word, to: command.destination, of: vm, at: command.landing)
            try raise(vm, highest: epoch, closed: epoch)
            do throws(Fault) { try await storage.release(vm) } catch { return .failed(error) }
            return run.done(hasLanded ? .landed : .migrated)
        case (.match, let failure?):
            // From a turn to post-copy there is no way back: a part of the guest is at the destination.
            if !migration.turnsToPostCopy { try await letGoOn(vm, epoch) }
            return .failed(failure)
        case (_, let failure?): return .failed(failure)
        case (.match, nil), (.unreadable, nil):
            return .failed(
                Fault(.unavailable, .commandFailed, "libvirt moved the domain, and still shows it here."))
        }
    }

    /// Lets the guest of a move that is over go on here, if libvirt has left it halted.
    ///
    /// A libvirtd that dies before it hears of the arrival does not know where the guest goes on. It is here: what has arrived
    /// waits for a word that is given only once the guest is gone here.
    private func letGoOn(_ vm: VMID, _ epoch: Epoch) async throws {
        let deadline = time.monotonic() + startLimit
        while time.monotonic() < deadline, !isEndAwaited(vm, epoch) {
            let domain = try await domainOnceVisible(vm)
            guard EpochGuard.verdict(on: domain, epoch) == .match, domain?.state == .moving else { return }
            if try await !isMoving(vm) { try? await hypervisor.control(.resume, of: vm) }
            try await pause(retryInterval)
        }
    }

    /// How libvirt's part of a move ended.
    private enum CarryEnd {
        case arrived
        case failed(Fault)
        /// Its time was up, and it was broken off.
        case late(Fault)

        var failure: Fault? {
            switch self {
            case .arrived: nil
            case .failed(let fault), .late(let fault): fault
            }
        }
    }

    /// Lets libvirt move the domain, watching it.
    private func carry(_ migration: DomainMigration, from epoch: Epoch) async throws -> CarryEnd {
        try await withThrowingTaskGroup(of: CarryEnd?.self) { group in
            group.addTask {
                do throws(HypervisorError) {
                    try await hypervisor.migrate(migration)
                    return .arrived
                } catch {
                    return .failed(error.fault)
                }
            }
            let deadline = time.monotonic() + .seconds(migration.options.timeout)
            group.addTask {
                try await watch(migration, epoch, until: deadline)
                return nil
            }
            defer { group.cancelAll() }
            while let end = try await group.next() {
                guard let end else { continue }
                let isWanted = !isMoveCancelled(migration.vm, epoch) && !isEndAwaited(migration.vm, epoch)
                if case .failed(let fault) = end, time.monotonic() >= deadline, isWanted { return .late(fault) }
                return end
            }
            throw CancellationError()
        }
    }

    /// Tells of the move's progress, and breaks it off when it is not wanted any more or its time is up.
    private func watch(_ migration: DomainMigration, _ epoch: Epoch, until deadline: Duration) async throws {
        let vm = migration.vm
        var isPostCopy = false
        var told: MigrationProgress?
        while true {
            try await pause(.milliseconds(migration.turnsToPostCopy && !isPostCopy ? 20 : 250))
            let progress = try? await hypervisor.migrationProgress(of: vm)
            guard let progress else { continue }
            if progress != told { reportProgress(vm, epoch, progress) }
            told = progress
            // Past the turn to post-copy neither host has the whole guest: breaking off would cost it.
            guard !isPostCopy else { continue }
            if isMoveCancelled(vm, epoch) || isEndAwaited(vm, epoch) {
                try? await hypervisor.cancelMigration(of: vm)
            } else if migration.turnsToPostCopy {
                isPostCopy = (try? await hypervisor.beginPostCopy(of: vm)) != nil
            } else if time.monotonic() >= deadline {
                logger.warning("a move takes too long and is broken off", metadata: ["vm": "\(vm)"])
                try? await hypervisor.cancelMigration(of: vm)
            }
        }
    }

    func isMoving(_ vm: VMID) async throws -> Bool {
        do throws(HypervisorError) { return try await hypervisor.migrationProgress(of: vm) != nil } catch {
            switch error {
            case .noDomain: return false
            case .failed: return false
            case .unreachable: return true
            }
        }
    }
}

extension Fault {
    static func noDomain(_ vm: VMID) -> Fault {
        Fault(.conflict, .domainNotFound, "There is no domain of VM \(vm) on this host.")
    }

    static let stillArriving = Fault(.unavailable, .commandFailed, "libvirt has not taken in the whole guest.")

    static let cutShort = Fault(
        .unavailable, .commandFailed, "The agent was restarted during the move; both hosts have to be asked.")
}
