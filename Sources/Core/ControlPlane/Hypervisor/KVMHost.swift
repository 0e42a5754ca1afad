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

    func stop(_ message: StopVMOnHypervisor, as command: CommandID) async -> CommandEnd {
        let stop = StopVMCommand(
            vm: message.vm, epoch: message.epoch, mode: message.mode, timeout: message.timeout,
            ignoreNotFound: message.ignoreNotFound)
        let guestTime: Duration = message.mode == .grace ? message.timeout : .zero
        return await sessions.send(.stop(stop), id: command, to: id, limit: settings.stopLimit + guestTime)
    }

    func start(_ message: StartVMCommand, as command: CommandID) async -> CommandEnd {
        await sessions.send(.start(message), id: command, to: id, limit: settings.startLimit)
    }

    func control(_ message: ControlVMCommand, as command: CommandID) async -> CommandEnd {
        await sessions.send(.control(message), id: command, to: id, limit: settings.stopLimit + message.timeout)
    }

    func prepare(_ message: PrepareMigrationCommand, as command: CommandID) async -> CommandEnd {
        await sessions.send(.prepareMigration(message), id: command, to: id, limit: settings.startLimit)
    }

    func migrate(_ message: MigrateVMCommand, as command: CommandID) async -> CommandEnd {
        // What is given up when its time is over takes libvirt a while to undo.
        let limit = Duration.seconds(message.options.timeout) * 2 + settings.startLimit
        return await sessions.send(.migrate(message), id: command, to: id, limit: limit)
    }

    func cancelMigration(_ message: CancelMigrationCommand, as command: CommandID) async -> CommandEnd {
        await sessions.send(.cancelMigration(message), id: command, to: id, limit: settings.stopLimit)
    }

    func adopt(_ message: AdoptVMCommand, as command: CommandID) async -> CommandEnd {
        await sessions.send(.adopt(message), id: command, to: id, limit: settings.stopLimit)
    }

    func release(_ message: ReleaseVMCommand, as command: CommandID) async -> CommandEnd {
        await sessions.send(.release(message), id: command, to: id, limit: settings.stopLimit)
    }

    func destroy(_ message: DestroyVMCommand, as command: CommandID) async -> CommandEnd {
        await sessions.send(.destroy(message), id: command, to: id, limit: settings.stopLimit)
    }
}
