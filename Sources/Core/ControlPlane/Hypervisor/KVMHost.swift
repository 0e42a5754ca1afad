package import Domain

/// Asks a host's driver to stop a VM's domain of one epoch.
package struct StopVMOnHypervisor: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let mode: StopMode
    /// The guest's own time for a graceful stop.
    package let timeout: Duration
    /// Whether a missing domain is success rather than the error `domain-not-found`.
    package let ignoreNotFound: Bool

    package init(vm: VMID, epoch: Epoch, mode: StopMode, timeout: Duration, ignoreNotFound: Bool) {
        self.vm = vm
        self.epoch = epoch
        self.mode = mode
        self.timeout = timeout
        self.ignoreNotFound = ignoreNotFound
    }
}

/// The driver of one KVM host: turns what is wanted into the agent's commands.
package struct KVMHost: Sendable {
    let id: HostID
    let sessions: any HostSessions
    let settings: ControlSettings
    let database: any Database

    /// The one way on which anything is asked of a host. Looks last of all whether Roost may act.
    private func send(_ command: HostCommand, as id: CommandID, limit: Duration) async -> CommandEnd {
        do { try await database.read { tx in try tx.checkActing() } } catch {
            return .notSent(
                error as? Fault ?? Fault(.unavailable, .storeUnavailable, "The database cannot be reached."))
        }
        return await sessions.send(command, id: id, to: self.id, limit: limit)
    }

    func stop(_ message: StopVMOnHypervisor, as command: CommandID) async -> CommandEnd {
        let stop = StopVMCommand(
            vm: message.vm, epoch: message.epoch, mode: message.mode, timeout: message.timeout,
            ignoreNotFound: message.ignoreNotFound)
        let guestTime: Duration = message.mode == .grace ? message.timeout : .zero
        return await send(.stop(stop), as: command, limit: settings.stopLimit + guestTime)
    }

    func start(_ message: StartVMCommand, as command: CommandID) async -> CommandEnd {
        await send(.start(message), as: command, limit: settings.startLimit)
    }

    func control(_ message: ControlVMCommand, as command: CommandID) async -> CommandEnd {
        await send(.control(message), as: command, limit: settings.stopLimit + message.timeout)
    }

    func prepare(_ message: PrepareMigrationCommand, as command: CommandID) async -> CommandEnd {
        await send(.prepareMigration(message), as: command, limit: settings.startLimit)
    }

    func migrate(_ message: MigrateVMCommand, as command: CommandID) async -> CommandEnd {
        // What is given up when its time is over takes libvirt a while to undo.
        let limit = Duration.seconds(message.options.timeout) * 2 + settings.startLimit
        return await send(.migrate(message), as: command, limit: limit)
    }

    func cancelMigration(_ message: CancelMigrationCommand, as command: CommandID) async -> CommandEnd {
        await send(.cancelMigration(message), as: command, limit: settings.stopLimit)
    }

    func completeMigration(_ message: CompleteMigrationCommand, as command: CommandID) async -> CommandEnd {
        await send(.completeMigration(message), as: command, limit: settings.stopLimit)
    }

    func adopt(_ message: AdoptVMCommand, as command: CommandID) async -> CommandEnd {
        await send(.adopt(message), as: command, limit: settings.stopLimit)
    }

    func release(_ message: ReleaseVMCommand, as command: CommandID) async -> CommandEnd {
        await send(.release(message), as: command, limit: settings.stopLimit)
    }

    func destroy(_ message: DestroyVMCommand, as command: CommandID) async -> CommandEnd {
        await send(.destroy(message), as: command, limit: settings.stopLimit)
    }
}
