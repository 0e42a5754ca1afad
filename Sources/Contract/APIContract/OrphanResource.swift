/// Something of Roost's on a host that no record owns.
package struct OrphanResource: Codable, Hashable, Sendable {
    /// `domain`, `root-disk` or `console-log`.
    package var kind: String
    package var vm: String
    /// What a removal has to name; nil if a domain's cannot be read.
    package var epoch: Int64?
    /// A domain's name in libvirt.
    package var name: String?
    /// A domain's state.
    package var state: String?
    package var cpus: Int?
    package var memory: Int?  // MiB
    /// The size of files.
    package var bytes: Int64?
    package var reason: String
    /// The reason in a sentence.
    package var why: String

    package init(
        kind: String, vm: String, epoch: Int64?, name: String?, state: String?, cpus: Int?, memory: Int?, bytes: Int64?,
        reason: String, why: String
    ) {
        self.kind = kind
        self.vm = vm
        self.epoch = epoch
        self.name = name
        self.state = state
        self.cpus = cpus
        self.memory = memory
        self.bytes = bytes
        self.reason = reason
        self.why = why
    }
}

/// The body of `POST /v1/hosts/{host}/orphans/{vm}/actions/remove`.
package struct RemoveOrphanRequest: Codable, Hashable, Sendable {
    package var epoch: Int64

    package init(epoch: Int64) { self.epoch = epoch }
}

/// The body of `POST /v1/hosts/{host}/orphans/{vm}/actions/adopt`.
package struct AdoptOrphanRequest: Codable, Hashable, Sendable {
    package var name: String
    package var image: String
    /// For a disk, which does not say it.
    package var cpus: Int?
    package var memory: Int?  // MiB

    package init(name: String, image: String, cpus: Int? = nil, memory: Int? = nil) {
        self.name = name
        self.image = image
        self.cpus = cpus
        self.memory = memory
    }
}
