/// A KVM machine that runs `roost-agent`, as the database holds it.
package struct Host: Hashable, Sendable {
    package let id: HostID
    /// Unique among hosts that are not deleted.
    package var name: String
    package var state: AdminState
    package var labels: Labels
    package var connection: Connection
    /// The id of the management node that holds the latest session; nil once that is over.
    package var node: String?
    /// The number of the latest session; each new one has a higher number. 0 before the first.
    package var session: Int64
    /// Whether the latest inventory came from a libvirt that answered.
    package var libvirtAnswers: Bool
    /// The host's boot as its agent last told it; a new one means that nothing of the old one runs.
    package var bootID: String?
    package var facts: HostFacts?
    package var lastSeenAt: Timestamp?
    /// The highest epoch that it told of in a hello, of whatever VM.
    package var highestEpoch: Epoch
    /// Nothing was heard from it since the records were restored: it may run what they do not know.
    package var isAwaited: Bool
    /// When an operator last proved the host off, and with what words.
    package var fencedAt: Timestamp?
    package var fenceProof: String?
    /// Deleted hosts keep their row, so that their certificate can be refused and their leftovers named.
    package var deletedAt: Timestamp?
    package var revision: Int
    package let createdAt: Timestamp
    package var updatedAt: Timestamp

    /// Whether the host takes new VMs.
    package enum AdminState: String, CaseIterable, Sendable, Codable { case enabled, disabled, maintenance }

    package enum Connection: String, CaseIterable, Sendable, Codable { case connecting, connected, disconnected }

    package init(
        id: HostID, name: String, state: AdminState = .enabled, labels: Labels = .none,
        connection: Connection = .disconnected, node: String? = nil,
        session: Int64 = 0, libvirtAnswers: Bool = false, bootID: String? = nil, facts: HostFacts? = nil,
        lastSeenAt: Timestamp? = nil, highestEpoch: Epoch = .none, isAwaited: Bool = false, fencedAt: Timestamp? = nil,
        fenceProof: String? = nil,
        deletedAt: Timestamp? = nil, revision: Int = 1, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.labels = labels
        self.connection = connection
        self.node = node
        self.session = session
        self.libvirtAnswers = libvirtAnswers
        self.bootID = bootID
        self.facts = facts
        self.lastSeenAt = lastSeenAt
        self.highestEpoch = highestEpoch
        self.isAwaited = isAwaited
        self.fencedAt = fencedAt
        self.fenceProof = fenceProof
        self.deletedAt = deletedAt
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// What an agent says of its host in its hello.
package struct HostFacts: Hashable, Sendable, Codable {
    package let cpus: Int
    package let memory: Int  // MiB
    package let agentVersion: String
    package let hypervisor: HypervisorFacts
    package let pool: PoolID

    package init(cpus: Int, memory: Int, agentVersion: String, hypervisor: HypervisorFacts, pool: PoolID) {
        self.cpus = cpus
        self.memory = memory
        self.agentVersion = agentVersion
        self.hypervisor = hypervisor
        self.pool = pool
    }
}

/// How a host runs guests, and why so.
package struct HypervisorFacts: Hashable, Sendable, Codable {
    /// `kvm` where it really works, else `qemu` (software emulation).
    package let domainType: String
    /// What the probe saw.
    package let reason: String
    package let libvirtVersion: String
    package let qemuVersion: String

    package init(domainType: String, reason: String, libvirtVersion: String, qemuVersion: String) {
        self.domainType = domainType
        self.reason = reason
        self.libvirtVersion = libvirtVersion
        self.qemuVersion = qemuVersion
    }
}

/// An agent's whole list, with the host's boot id and whether libvirt really answered.
package struct Inventory: Hashable, Sendable {
    package let bootID: String
    /// False: libvirt could not be asked, and `domains` says nothing about absence.
    package let libvirtAnswered: Bool
    package let domains: [ObservedDomain]
    /// VMs with a command under way on the agent: the absence of their domain says nothing yet.
    package let busy: [VMID]
    /// The agent's count when it began to collect: whatever it reports with a higher number is newer.
    package let sequence: Int64

    package init(
        bootID: String, libvirtAnswered: Bool, domains: [ObservedDomain], busy: [VMID] = [], sequence: Int64
    ) {
        self.bootID = bootID
        self.libvirtAnswered = libvirtAnswered
        self.domains = domains
        self.busy = busy
        self.sequence = sequence
    }
}

/// A domain of Roost's on a host.
package struct ObservedDomain: Hashable, Sendable {
    package let vm: VMID
    /// nil: the domain's metadata could not be read; this spoils only its own report.
    package let epoch: Epoch?
    package let state: DomainState

    package init(vm: VMID, epoch: Epoch?, state: DomainState) {
        self.vm = vm
        self.epoch = epoch
        self.state = state
    }
}

/// A live domain that some host showed where the record has none: a conflict, or the orphan of an unknown VM.
package struct Sighting: Hashable, Sendable {
    package let vm: VMID
    package let host: HostID
    package let epoch: Epoch
    package let state: String
    package let seenAt: Timestamp

    package init(vm: VMID, host: HostID, epoch: Epoch, state: String, seenAt: Timestamp) {
        self.vm = vm
        self.host = host
        self.epoch = epoch
        self.state = state
        self.seenAt = seenAt
    }
}
