package import Domain

extension WireCommand {
    package init(_ command: HostCommand, id: CommandID) {
        self.init()
        self.id = id.rawValue
        switch command {
        case .start(let start): kind = .start(WireStartVMCommand(start))
        case .stop(let stop): kind = .stop(WireStopVMCommand(stop))
        case .destroy(let destroy): kind = .destroy(WireDestroyVMCommand(destroy))
        case .control(let control): kind = .control(WireControlVMCommand(control))
        case .prepareMigration(let prepare): kind = .prepareMigration(WirePrepareMigrationCommand(prepare))
        case .migrate(let migrate): kind = .migrate(WireMigrateVMCommand(migrate))
        case .adopt(let adopt): kind = .adopt(WireAdoptVMCommand(adopt))
        case .release(let release): kind = .release(WireReleaseVMCommand(release))
        case .cancelMigration(let cancel): kind = .cancelMigration(WireCancelMigrationCommand(cancel))
        case .completeMigration(let complete): kind = .completeMigration(WireCompleteMigrationCommand(complete))
        }
    }
}

extension HostCommand {
    package init(reading wire: WireCommand) throws(UnreadableMessage) {
        switch wire.kind {
        case .start(let start): self = .start(try StartVMCommand(reading: start))
        case .stop(let stop): self = .stop(try StopVMCommand(reading: stop))
        case .destroy(let destroy): self = .destroy(try DestroyVMCommand(reading: destroy))
        case .control(let control): self = .control(try ControlVMCommand(reading: control))
        case .prepareMigration(let prepare): self = .prepareMigration(try PrepareMigrationCommand(reading: prepare))
        case .migrate(let migrate): self = .migrate(try MigrateVMCommand(reading: migrate))
        case .adopt(let adopt): self = .adopt(try AdoptVMCommand(reading: adopt))
        case .release(let release): self = .release(try ReleaseVMCommand(reading: release))
        case .cancelMigration(let cancel): self = .cancelMigration(try CancelMigrationCommand(reading: cancel))
        case .completeMigration(let complete):
            self = .completeMigration(try CompleteMigrationCommand(reading: complete))
        case nil: throw UnreadableMessage("a command of an unknown kind")
        }
    }
}

extension WireStartVMCommand {
    fileprivate init(_ command: StartVMCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        name = command.name
        cpus = Int64(command.cpus)
        memory = Int64(command.memory)
        image = WireImageSource(command.image)
    }
}

extension StartVMCommand {
    fileprivate init(reading wire: WireStartVMCommand) throws(UnreadableMessage) {
        guard wire.cpus > 0, wire.memory > 0 else {
            throw UnreadableMessage("a VM with \(wire.cpus) CPUs and \(wire.memory) MiB")
        }
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch), name: wire.name,
            cpus: Int(wire.cpus), memory: Int(wire.memory), image: try ImageSource(reading: wire.image))
    }
}

extension WireStopVMCommand {
    fileprivate init(_ command: StopVMCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        mode =
            switch command.mode {
            case .grace: .grace
            case .cold: .cold
            case .force: .force
            }
        timeoutMs = command.timeout.wholeMilliseconds
        ignoreNotFound = command.ignoreNotFound
    }
}

extension StopVMCommand {
    fileprivate init(reading wire: WireStopVMCommand) throws(UnreadableMessage) {
        let mode: StopMode
        switch wire.mode {
        case .grace: mode = .grace
        case .cold: mode = .cold
        case .force: mode = .force
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("stop mode \(wire.mode.rawValue)")
        }
        guard wire.timeoutMs >= 0 else { throw UnreadableMessage("a timeout of \(wire.timeoutMs) ms") }
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch), mode: mode,
            timeout: .milliseconds(wire.timeoutMs), ignoreNotFound: wire.ignoreNotFound)
    }
}

extension WireDestroyVMCommand {
    fileprivate init(_ command: DestroyVMCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        removesDisk = command.removesDisk
    }
}

extension DestroyVMCommand {
    fileprivate init(reading wire: WireDestroyVMCommand) throws(UnreadableMessage) {
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch),
            removesDisk: wire.removesDisk)
    }
}

extension WireReleaseVMCommand {
    fileprivate init(_ command: ReleaseVMCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
    }
}

extension ReleaseVMCommand {
    fileprivate init(reading wire: WireReleaseVMCommand) throws(UnreadableMessage) {
        self.init(vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch))
    }
}

extension WireControlVMCommand {
    fileprivate init(_ command: ControlVMCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        control =
            switch command.control {
            case .pause: .pause
            case .resume: .resume
            case .reset: .reset
            case .reboot: .reboot
            }
        timeoutMs = command.timeout.wholeMilliseconds
    }
}

extension ControlVMCommand {
    fileprivate init(reading wire: WireControlVMCommand) throws(UnreadableMessage) {
        let control: GuestControl
        switch wire.control {
        case .pause: control = .pause
        case .resume: control = .resume
        case .reset: control = .reset
        case .reboot: control = .reboot
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("control \(wire.control.rawValue)")
        }
        guard wire.timeoutMs >= 0 else { throw UnreadableMessage("a timeout of \(wire.timeoutMs) ms") }
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch), control: control,
            timeout: .milliseconds(wire.timeoutMs))
    }
}
