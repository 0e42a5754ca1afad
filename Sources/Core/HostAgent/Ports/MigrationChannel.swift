package import Domain

/// How guests get from one host to another: the agents carry libvirt's own streams over mutual TLS.
package protocol MigrationChannel: Sendable {
    /// Lets the agent of `source`, and nobody else, reach this host's libvirt and what it opens for the arrival of `vm` with
    /// `epoch`, until `close`. An earlier door for the VM is closed.
    func open(for vm: VMID, _ epoch: Epoch, from source: HostID) async throws(Fault) -> MigrationDoor
    /// Makes sockets here that lead to the door of `destination` for `epoch`, until `close`.
    func connect(
        _ vm: VMID, _ epoch: Epoch, to destination: HostID, at landing: MigrationLanding
    ) async throws(Fault) -> MigrationSockets
    /// Ends what `open` or `connect` made for `vm` and any epoch up to `epoch`. May be repeated.
    func close(_ vm: VMID, upTo epoch: Epoch) async
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
