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
            let door = try await channel.open(for: vm, epoch, from: command.source)
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
                return .rejected(Fault(.conflict, .domainNotFound, "There is no domain of VM \(vm) on this host."))
            }
            return .failed(.cutShort)
        case .match: break
        }
        if run.isResumed {
            // The sockets went with the agent, so libvirt gives it up soon, if it has not brought it to its end.
            while try await isMoving(vm) { try await pause(retryInterval) }
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
        let migration = DomainMigration(
            vm: vm, arrivalEpoch: command.arrivalEpoch, landing: command.landing, options: command.options,
            sockets: sockets)
        let failure = try await carry(migration, from: epoch)
        await faults.reach("agent-migrate.after-libvirt")
        // Whatever libvirt said, what it shows decides: where the domain is still here, it has not arrived.
        switch (try await verdictOnceVisible(vm, epoch), failure) {
        case (.absent, nil), (.other, nil):
            try raise(vm, highest: epoch, closed: epoch)
            do throws(Fault) { try await storage.release(vm) } catch { return .failed(error) }
            return run.done(.migrated)
        case (_, let failure?): return .failed(failure)
        case (.match, nil), (.unreadable, nil):
            return .failed(
                Fault(.unavailable, .commandFailed, "libvirt moved the domain, and still shows it here."))
        }
    }

    /// Lets libvirt move the domain, watching it; nil when libvirt says that it has arrived.
    private func carry(_ migration: DomainMigration, from epoch: Epoch) async throws -> Fault? {
        try await withThrowingTaskGroup(of: Fault??.self) { group in
            group.addTask {
                do throws(HypervisorError) {
                    try await hypervisor.migrate(migration)
                    return .some(nil)
                } catch {
                    return .some(error.fault)
                }
            }
            group.addTask {
                try await watch(migration, epoch)
                return nil
            }
            defer { group.cancelAll() }
            while let end = try await group.next() {
                if let end { return end }
            }
            return nil
        }
    }

    /// Tells of the move's progress, and breaks it off when it is not wanted any more or its time is up.
    private func watch(_ migration: DomainMigration, _ epoch: Epoch) async throws {
        let vm = migration.vm
        let deadline = time.monotonic() + .seconds(migration.options.timeout)
        var isPostCopy = false
        var told: MigrationProgress?
        while true {
            try await pause(.milliseconds(250))
            let progress = try? await hypervisor.migrationProgress(of: vm)
            guard let progress else { continue }
            if progress != told { reportProgress(vm, epoch, progress) }
            told = progress
            // Past the turn to post-copy neither host has the whole guest: breaking off would cost it.
            guard !isPostCopy else { continue }
            if isMoveCancelled(vm, epoch) || isEndAwaited(vm, epoch) {
                try? await hypervisor.cancelMigration(of: vm)
            } else if time.monotonic() >= deadline {
                if migration.options.allowsPostCopy {
                    isPostCopy = (try? await hypervisor.beginPostCopy(of: vm)) != nil
                } else {
                    logger.warning("a move takes too long and is given up", metadata: ["vm": "\(vm)"])
                    try? await hypervisor.cancelMigration(of: vm)
                }
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
    static let cutShort = Fault(
        .unavailable, .commandFailed, "The agent was restarted during the move; both hosts have to be asked.")
}
