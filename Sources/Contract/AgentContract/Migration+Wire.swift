package import Domain

extension WirePrepareMigrationCommand {
    init(_ command: PrepareMigrationCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        source = command.source.rawValue
        image = WireImageSource(command.image)
        copiesStorage = command.copiesStorage
    }
}

extension PrepareMigrationCommand {
    init(reading wire: WirePrepareMigrationCommand) throws(UnreadableMessage) {
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch),
            source: try readID(wire.source, "the source"), image: try ImageSource(reading: wire.image),
            copiesStorage: wire.copiesStorage)
    }
}

extension WireMigrateVMCommand {
    init(_ command: MigrateVMCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        destination = command.destination.rawValue
        arrivalEpoch = command.arrivalEpoch.rawValue
        landing = WireMigrationLanding(command.landing)
        copiesStorage = command.options.copiesStorage
        autoConverges = command.options.autoConverges
        allowsPostCopy = command.options.allowsPostCopy
        timeoutSeconds = Int64(command.options.timeout)
    }
}

extension MigrateVMCommand {
    init(reading wire: WireMigrateVMCommand) throws(UnreadableMessage) {
        guard wire.timeoutSeconds > 0 else { throw UnreadableMessage("a timeout of \(wire.timeoutSeconds) s") }
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch),
            destination: try readID(wire.destination, "the destination"),
            arrivalEpoch: try readEpoch(wire.arrivalEpoch), landing: try MigrationLanding(reading: wire.landing),
            options: MigrationOptions(
                copiesStorage: wire.copiesStorage, autoConverges: wire.autoConverges,
                allowsPostCopy: wire.allowsPostCopy, timeout: Int(wire.timeoutSeconds)))
    }
}

extension WireCancelMigrationCommand {
    init(_ command: CancelMigrationCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
    }
}

extension CancelMigrationCommand {
    init(reading wire: WireCancelMigrationCommand) throws(UnreadableMessage) {
        self.init(vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch))
    }
}

extension WireCompleteMigrationCommand {
    init(_ command: CompleteMigrationCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        resumes = command.resumes
    }
}

extension CompleteMigrationCommand {
    init(reading wire: WireCompleteMigrationCommand) throws(UnreadableMessage) {
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch), resumes: wire.resumes)
    }
}

extension WireAdoptVMCommand {
    init(_ command: AdoptVMCommand) {
        self.init()
        vm = command.vm.rawValue
        epoch = command.epoch.rawValue
        grantedEpoch = command.grantedEpoch.rawValue
    }
}

extension AdoptVMCommand {
    init(reading wire: WireAdoptVMCommand) throws(UnreadableMessage) {
        self.init(
            vm: try readID(wire.vm, "the command's VM"), epoch: try readEpoch(wire.epoch),
            grantedEpoch: try readEpoch(wire.grantedEpoch))
    }
}

extension WireMigrationLanding {
    init(_ landing: MigrationLanding) {
        self.init()
        address = landing.address
        port = UInt32(clamping: landing.port)
        domainType = landing.domainType
        switch landing.boot {
        case .kernel(let kernel, let initrd, let commandLine):
            boot = .with {
                $0.kernel = .with {
                    $0.kernel = kernel
                    $0.initrd = initrd
                    $0.commandLine = commandLine
                }
            }
        case .disk(let path): boot = .with { $0.disk = path }
        }
        consoleLog = landing.consoleLog
        socketDirectory = landing.socketDirectory
    }
}

extension MigrationLanding {
    init(reading wire: WireMigrationLanding) throws(UnreadableMessage) {
        let boot: BootFiles
        switch wire.boot.kind {
        case .kernel(let files):
            boot = .kernel(kernel: files.kernel, initrd: files.initrd, commandLine: files.commandLine)
        case .disk(let path): boot = .disk(path)
        case nil: throw UnreadableMessage("a landing without files to boot from")
        }
        guard let port = UInt16(exactly: wire.port), port > 0 else { throw UnreadableMessage("port \(wire.port)") }
        self.init(
            address: wire.address, port: Int(port), domainType: wire.domainType, boot: boot,
            consoleLog: wire.consoleLog, socketDirectory: wire.socketDirectory)
    }
}

extension WireMigrationProgress {
    package init(_ vm: VMID, _ epoch: Epoch, _ progress: MigrationProgress) {
        self.init()
        self.vm = vm.rawValue
        self.epoch = epoch.rawValue
        processed = progress.processed
        total = progress.total
        remaining = progress.remaining
    }

    package func read() throws(UnreadableMessage) -> (vm: VMID, epoch: Epoch, progress: MigrationProgress) {
        (
            try readID(vm, "a move's VM"), try readEpoch(epoch),
            MigrationProgress(processed: processed, total: total, remaining: remaining)
        )
    }
}
