package import Domain

/// What the agent keeps on its disk about commands, so that a lost reply can be asked for again, also after a crash.
///
/// Each method returns when its effect is durable.
package protocol CommandJournal: Sendable {
    func entry(_ id: CommandID) throws -> JournalEntry?
    /// Before the command's first effect.
    func begin(_ id: CommandID, _ command: BegunCommand) throws
    func end(_ id: CommandID, _ outcome: CommandOutcome) throws
    /// Promises that `id`, which was never received, is refused for ever.
    func refuse(_ id: CommandID) throws
    /// The server has the end and will not ask again.
    func forget(_ id: CommandID) throws
}

package enum JournalEntry: Hashable, Sendable, Codable {
    case begun(BegunCommand)
    case ended(CommandOutcome)
    case refused
}

/// What is needed to find out how a command ended that the agent died in.
package struct BegunCommand: Hashable, Sendable, Codable {
    package let kind: Kind
    package let vm: VMID
    package let epoch: Epoch

    package enum Kind: String, Sendable, Codable {
        case start, stop, destroy, pause, resume, reset, reboot, prepareMigration, migrate, completeMigration, adopt
    }

    package init(kind: Kind, vm: VMID, epoch: Epoch) {
        self.kind = kind
        self.vm = vm
        self.epoch = epoch
    }
}

/// The epochs that this host has seen, and how far its server's records had come, on disk. They only rise.
package protocol EpochLedger: Sendable {
    func mark(of vm: VMID) throws -> EpochMark
    /// Returns when the higher of the stored and the given numbers are durable.
    func raise(_ vm: VMID, to mark: EpochMark) throws
    /// The highest epoch of any VM.
    func highest() throws -> Epoch
    func heard() throws -> RecordPoint
    /// Returns when the higher of the stored and the given point is durable.
    func raise(to point: RecordPoint) throws
}

package struct EpochMark: Hashable, Sendable, Codable {
    /// The highest epoch seen in any command or domain.
    package let highest: Epoch
    /// A domain of this or a lower epoch may never be started here (again).
    package let closed: Epoch

    package init(highest: Epoch, closed: Epoch) {
        self.highest = highest
        self.closed = closed
    }

    package static let none = EpochMark(highest: .none, closed: .none)
}

/// The host's pool: images fetched from the server, root disks, console logs.
package protocol HostStorage: Sendable {
    /// The pool's identity, shared by hosts that share the pool.
    var pool: PoolID { get }
    /// Makes the image's files present and checked, and the VM's root disk (a qcow2 overlay) if the image has a disk and
    /// the VM has none yet. May be repeated. Fails where a disk is missing that it may not make.
    func prepare(_ vm: VMID, from image: ImageSource, mayMakeDisk: Bool) async throws(Fault) -> BootFiles
    /// Where the guest's serial console is written.
    func consoleLog(of vm: VMID) -> String
    /// The last `limit` bytes of the console log; empty when there is none.
    func readConsoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8]
    /// Root disks in the pool and console logs of this host, of whatever VM.
    func heldFiles() async throws(Fault) -> [HeldFile]
    /// Gives back what a placement held besides the root disk. May be repeated.
    func release(_ vm: VMID) async throws(Fault)
    /// Removes the console log, all that was put aside of it included. May be repeated.
    func removeConsoleLog(of vm: VMID) async throws(Fault)
    /// Removes the root disk and everything else of the VM. May be repeated.
    func remove(_ vm: VMID) async throws(Fault)
}

/// Image files, from the server.
package protocol ImageFetcher: Sendable {
    /// The bytes of `part`, in chunks.
    func fetch(
        _ part: ImageFile.Part, of image: ImageID
    ) async throws(Fault) -> any AsyncSequence<[UInt8], any Error> & Sendable
}
