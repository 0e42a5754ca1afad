/// What a management node asks of an agent. Every command names the VM and the epoch that it was decided for.
package enum HostCommand: Hashable, Sendable {
    case start(StartVMCommand)
    case stop(StopVMCommand)
    case destroy(DestroyVMCommand)
    case control(ControlVMCommand)
    case prepareMigration(PrepareMigrationCommand)
    case migrate(MigrateVMCommand)
    case cancelMigration(CancelMigrationCommand)
    case completeMigration(CompleteMigrationCommand)
    case adopt(AdoptVMCommand)
    case release(ReleaseVMCommand)

    package var vm: VMID {
        switch self {
        case .start(let command): command.vm
        case .stop(let command): command.vm
        case .destroy(let command): command.vm
        case .control(let command): command.vm
        case .prepareMigration(let command): command.vm
        case .migrate(let command): command.vm
        case .cancelMigration(let command): command.vm
        case .completeMigration(let command): command.vm
        case .adopt(let command): command.vm
        case .release(let command): command.vm
        }
    }

    package var epoch: Epoch {
        switch self {
        case .start(let command): command.epoch
        case .stop(let command): command.epoch
        case .destroy(let command): command.epoch
        case .control(let command): command.epoch
        case .prepareMigration(let command): command.epoch
        case .migrate(let command): command.epoch
        case .cancelMigration(let command): command.epoch
        case .completeMigration(let command): command.epoch
        case .adopt(let command): command.epoch
        case .release(let command): command.epoch
        }
    }

    package var label: String {
        switch self {
        case .start: "start"
        case .stop: "stop"
        case .destroy: "destroy"
        case .control(let command): command.control.rawValue
        case .prepareMigration: "prepare-migration"
        case .migrate: "migrate"
        case .cancelMigration: "cancel-migration"
        case .completeMigration: "complete-migration"
        case .adopt: "adopt"
        case .release: "release"
        }
    }
}

/// Starts a domain of `epoch`. Refused once the agent has seen a higher epoch, or a stop of this one.
package struct StartVMCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let name: String
    package let cpus: Int
    package let memory: Int  // MiB
    package let image: ImageSource

    package init(vm: VMID, epoch: Epoch, name: String, cpus: Int, memory: Int, image: ImageSource) {
        self.vm = vm
        self.epoch = epoch
        self.name = name
        self.cpus = cpus
        self.memory = memory
        self.image = image
    }
}

/// The image a domain is made from; the agent fetches files that it does not hold yet from the server.
package struct ImageSource: Hashable, Sendable {
    package let id: ImageID
    package let kind: Image.Kind
    package let commandLine: String
    package let files: [ImageFile]

    package init(id: ImageID, kind: Image.Kind, commandLine: String, files: [ImageFile]) {
        self.id = id
        self.kind = kind
        self.commandLine = commandLine
        self.files = files
    }

    package init(_ image: Image) {
        self.init(id: image.id, kind: image.kind, commandLine: image.commandLine, files: image.files)
    }
}

/// Stops the domain of `epoch` and of no other.
package struct StopVMCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let mode: StopMode
    /// How long a graceful stop waits for the guest.
    package let timeout: Duration
    /// Whether a missing domain is success (`notFound`) rather than the error `domain-not-found`.
    package let ignoreNotFound: Bool

    package init(vm: VMID, epoch: Epoch, mode: StopMode, timeout: Duration, ignoreNotFound: Bool) {
        self.vm = vm
        self.epoch = epoch
        self.mode = mode
        self.timeout = timeout
        self.ignoreNotFound = ignoreNotFound
    }
}

/// Cuts the power of the domain of `epoch`, if there is one, and removes what the VM holds on the host.
package struct DestroyVMCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let removesDisk: Bool

    package init(vm: VMID, epoch: Epoch, removesDisk: Bool) {
        self.vm = vm
        self.epoch = epoch
        self.removesDisk = removesDisk
    }
}

/// Pauses, resumes, resets or reboots the domain of `epoch` and of no other.
package struct ControlVMCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let control: GuestControl
    /// How long a reboot waits for the guest.
    package let timeout: Duration

    package init(vm: VMID, epoch: Epoch, control: GuestControl, timeout: Duration = .zero) {
        self.vm = vm
        self.epoch = epoch
        self.control = control
        self.timeout = timeout
    }
}

/// Gives the live domain of `epoch`, which came to be on this host without Roost, the epoch that was granted for it.
package struct AdoptVMCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let grantedEpoch: Epoch

    package init(vm: VMID, epoch: Epoch, grantedEpoch: Epoch) {
        self.vm = vm
        self.epoch = epoch
        self.grantedEpoch = grantedEpoch
    }
}

/// Removes what a placement that is over has left on its host besides the root disk: the console log. Refused while a domain
/// of the VM is there, and once the host has seen a later epoch, whose log it is by then.
package struct ReleaseVMCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch

    package init(vm: VMID, epoch: Epoch) {
        self.vm = vm
        self.epoch = epoch
    }
}

/// What a command achieved, as the agent tells it.
package struct CommandResult: Hashable, Sendable, Codable {
    package let effect: Effect
    /// The agent's count when it saw the effect, on the scale of its reports.
    package let sequence: Int64
    /// Where the host awaits the guest, for `prepared`.
    package let landing: MigrationLanding?

    package enum Effect: String, CaseIterable, Sendable, Codable {
        case started
        case stopped
        /// No domain, and libvirt did answer; what the VM held on the host is cleaned up all the same.
        case notFound
        case destroyed
        case paused
        case resumed
        case reset
        case rebooted
        /// The host awaits a guest that moves to it.
        case prepared
        /// The guest has left for another host, where it waits to be told that it may go on.
        case migrated
        /// The guest has left for another host, which was told, and lets it go on.
        case landed
        /// What was asked to be broken off is told to break off; its own command tells how it ended.
        case cancelling
        /// The domain has its new epoch.
        case adopted
        /// Nothing of the placement is left, and no domain of its epoch can come up here any more.
        case released
    }

    package init(effect: Effect, sequence: Int64, landing: MigrationLanding? = nil) {
        self.effect = effect
        self.sequence = sequence
        self.landing = landing
    }
}

/// The end of a command on the agent: a result, or why there is none.
package enum CommandOutcome: Hashable, Sendable, Codable {
    case done(CommandResult)
    /// The agent refused; it touched nothing.
    case rejected(Fault)
    /// The agent tried, and its effect did not come about; for a start: no domain was left behind.
    case failed(Fault)
}

/// Every command has one of four ends, seen from the management node.
package enum CommandEnd: Hashable, Sendable {
    case done(CommandResult)
    /// It never left this node.
    case notSent(Fault)
    /// The agent refused; it touched nothing.
    case rejected(Fault)
    /// The agent tried, and its effect did not come about.
    case failed(Fault)
    /// It may or may not take effect, now or later. Settled by asking the agent, never by assumption.
    case outcomeUnknown(Fault)

    package init(_ outcome: CommandOutcome) {
        switch outcome {
        case .done(let result): self = .done(result)
        case .rejected(let fault): self = .rejected(fault)
        case .failed(let fault): self = .failed(fault)
        }
    }
}
