package import Domain

/// How guests get from one host to another: the agents carry libvirt's own streams over mutual TLS.
package protocol MigrationChannel: Sendable {
    /// Lets the agent of `source`, and nobody else, reach this host's libvirt and what it opens for the arrival of `vm` with
    /// `epoch`, until `close`. An earlier door for the VM is closed.
    ///
    /// - Parameter land: called with the source's word that the guest has left; says whether it goes on here now.
    func open(
        for vm: VMID, _ epoch: Epoch, from source: HostID, land: @escaping @Sendable (LandingWord) async -> Bool
    ) async throws(Fault) -> MigrationDoor
    /// Whether the door of `vm` for `epoch` is open.
    func isOpen(_ vm: VMID, _ epoch: Epoch) -> Bool
    /// Makes sockets here that lead to the door of `destination` for `epoch`, until `close`.
    func connect(
        _ vm: VMID, _ epoch: Epoch, to destination: HostID, at landing: MigrationLanding
    ) async throws(Fault) -> MigrationSockets
    /// Tells the destination that the guest has left here, while what `connect` made is there; says whether it goes on there.
    func tell(_ word: LandingWord, to destination: HostID, of vm: VMID, at landing: MigrationLanding) async -> Bool
    /// Ends what `open` or `connect` made for `vm` and any epoch up to `epoch`. May be repeated.
    func close(_ vm: VMID, upTo epoch: Epoch) async
}

/// What a source says of a guest that has left it.
package enum LandingWord: UInt8, Hashable, Sendable {
    /// It ran, and may go on.
    case resume = 0x52
    /// It was paused, and stays so.
    case stayPaused = 0x50
}

/// Where a source's agent finds the way in.
package struct MigrationDoor: Hashable, Sendable {
    package let address: String
    package let port: Int
    package let socketDirectory: String

    package init(address: String, port: Int, socketDirectory: String) {
        self.address = address
        self.port = port
        self.socketDirectory = socketDirectory
    }
}

/// Sockets on the source that lead to the destination.
package struct MigrationSockets: Hashable, Sendable {
    /// To its libvirtd.
    package let libvirt: String
    /// To the incoming QEMU; that QEMU listens at a socket of the same name.
    package let memory: String
    /// To the disks that it exports; the same holds.
    package let disks: String

    package init(directory: String) {
        libvirt = "\(directory)/libvirt"
        memory = "\(directory)/memory"
        disks = "\(directory)/disks"
    }
}
