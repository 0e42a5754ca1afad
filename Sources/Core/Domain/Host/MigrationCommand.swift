/// Makes a host ready for a guest that moves to it: fetches what it boots from, and lets the source's agent in.
///
/// Refused once the agent has seen `epoch` or a higher one. From then on the epoch is begun there, so that no start of it
/// is let through; a stop of it ends the waiting and whatever has arrived.
package struct PrepareMigrationCommand: Hashable, Sendable {
    package let vm: VMID
    /// The epoch that the domain will have here.
    package let epoch: Epoch
    /// The only host that may come.
    package let source: HostID
    package let image: ImageSource
    /// Whether the root disk's contents come along; else the hosts share the pool that it is in.
    package let copiesStorage: Bool

    package init(vm: VMID, epoch: Epoch, source: HostID, image: ImageSource, copiesStorage: Bool) {
        self.vm = vm
        self.epoch = epoch
        self.source = source
        self.image = image
        self.copiesStorage = copiesStorage
    }
}

/// Where a prepared host awaits a guest.
package struct MigrationLanding: Hashable, Sendable, Codable {
    /// The address and port of the agent's channel, for the time of the move.
    package let address: String
    package let port: Int
    package let domainType: String
    /// What the domain is to boot from there.
    package let boot: BootFiles
    package let consoleLog: String
    /// The directory for the sockets of the move, which has the same name on both hosts.
    package let socketDirectory: String

    package init(
        address: String, port: Int, domainType: String, boot: BootFiles, consoleLog: String, socketDirectory: String
    ) {
        self.address = address
        self.port = port
        self.domainType = domainType
        self.boot = boot
        self.consoleLog = consoleLog
        self.socketDirectory = socketDirectory
    }
}

/// What a domain boots from: absolute paths on its host.
package enum BootFiles: Hashable, Sendable, Codable {
    case kernel(kernel: String, initrd: String, commandLine: String)
    /// A qcow2 overlay.
    case disk(String)
}

/// Moves the running domain of `epoch`, and no other, to a prepared host, where it has `arrivalEpoch`.
package struct MigrateVMCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let destination: HostID
    package let arrivalEpoch: Epoch
    package let landing: MigrationLanding
    package let options: MigrationOptions

    package init(
        vm: VMID, epoch: Epoch, destination: HostID, arrivalEpoch: Epoch, landing: MigrationLanding,
        options: MigrationOptions
    ) {
        self.vm = vm
        self.epoch = epoch
        self.destination = destination
        self.arrivalEpoch = arrivalEpoch
        self.landing = landing
        self.options = options
    }
}

/// How a guest moves.
package struct MigrationOptions: Hashable, Sendable, Codable {
    /// Copies the root disk to the destination's own pool, instead of sharing the pool.
    package var copiesStorage: Bool
    /// Slows a guest down that changes its memory faster than it can be copied.
    package var autoConverges: Bool
    /// Lets the guest go on at the destination before all of its memory is there, once the time for copying is up. A
    /// broken network then costs the guest.
    package var allowsPostCopy: Bool
    /// How long memory and disk may be copied, seconds; then the move turns to post-copy, if allowed, or is given up.
    package var timeout: Int

    package static let timeoutLimits = 1...86_400

    package init(
        copiesStorage: Bool = false, autoConverges: Bool = false, allowsPostCopy: Bool = false, timeout: Int = 3600
    ) {
        self.copiesStorage = copiesStorage
        self.autoConverges = autoConverges
        self.allowsPostCopy = allowsPostCopy
        self.timeout = timeout
    }
}

/// Breaks off the move of the domain of `epoch` that is under way; the guest stays.
package struct CancelMigrationCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch

    package init(vm: VMID, epoch: Epoch) {
        self.vm = vm
        self.epoch = epoch
    }
}

/// Lets the guest that arrived with `epoch` go on.
///
/// A guest arrives with its CPUs halted: what its source hears of the arrival can be lost, and libvirt lets it go on there
/// then. Only who knows that no domain of it is left at the source may send this, and may repeat it.
package struct CompleteMigrationCommand: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    /// Whether it ran when it left; else it stays paused.
    package let resumes: Bool

    package init(vm: VMID, epoch: Epoch, resumes: Bool) {
        self.vm = vm
        self.epoch = epoch
        self.resumes = resumes
    }
}

/// How far a move has come.
package struct MigrationProgress: Hashable, Sendable, Codable {
    /// Memory and disk together, bytes.
    package let processed: Int64
    package let total: Int64
    package let remaining: Int64

    package init(processed: Int64, total: Int64, remaining: Int64) {
        self.processed = processed
        self.total = total
        self.remaining = remaining
    }

    /// What part of the present total need not be copied any more, 0 to 100. It can fall: a guest changes what was copied.
    package var percent: Int {
        guard total > 0 else { return 0 }
        return Int(max(0, min(100, (total - remaining) * 100 / total)))
    }
}
