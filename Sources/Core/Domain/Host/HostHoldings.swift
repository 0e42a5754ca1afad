/// Everything of Roost's that lies on a host, as its agent found it.
package struct HostHoldings: Hashable, Sendable {
    /// The pool that the host's root disks are in; other hosts may share it.
    package let pool: PoolID
    package let domains: [HeldDomain]
    package let files: [HeldFile]
    /// The highest epoch that the host has seen of each VM that is named above; none where it has seen no epoch of it.
    package let epochs: [VMID: Epoch]

    package init(pool: PoolID, domains: [HeldDomain], files: [HeldFile], epochs: [VMID: Epoch]) {
        self.pool = pool
        self.domains = domains
        self.files = files
        self.epochs = epochs
    }
}

/// A domain of Roost's, with what libvirt says of its size.
package struct HeldDomain: Hashable, Sendable {
    package let seen: ObservedDomain
    /// The domain's own name, as `virsh list` shows it.
    package let name: String
    package let cpus: Int
    package let memory: Int  // MiB

    package init(seen: ObservedDomain, name: String, cpus: Int, memory: Int) {
        self.seen = seen
        self.name = name
        self.cpus = cpus
        self.memory = memory
    }
}

/// What lies of one VM in the host's files.
package struct HeldFile: Hashable, Sendable {
    package let vm: VMID
    package let kind: Kind
    /// All files of this kind together.
    package let bytes: Int64

    package enum Kind: String, CaseIterable, Sendable {
        /// In the pool, where every host that shares the pool sees it.
        case rootDisk = "root-disk"
        /// In the host's own directory.
        case consoleLog = "console-log"
    }

    package init(vm: VMID, kind: Kind, bytes: Int64) {
        self.vm = vm
        self.kind = kind
        self.bytes = bytes
    }
}
