/// A KVM machine that runs `roost-agent`, as the API shows it.
package struct HostResource: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    package var state: String
    package var connection: String
    package var session: Int64
    /// The management node that holds the session.
    package var node: String?
    package var lastSeenAt: String?
    /// nil until the agent said hello for the first time.
    package var capacity: HostCapacity?
    /// What placements may hold together; nil as long as the capacity is.
    package var allocatable: HostCapacity?
    package var allocated: HostCapacity
    package var agentVersion: String?
    package var hypervisor: HypervisorResource?
    /// Whether the host's libvirt answered when it was last asked.
    package var libvirtAnswers: Bool
    package var bootID: String?
    package var pool: String?
    package var fencedAt: String?
    package var deletedAt: String?
    /// Live domains on this host that no placement owns.
    package var sightings: [DomainSighting]
    package var labels: [String: String]
    package var revision: Int
    package var createdAt: String
    package var updatedAt: String

    package init(
        id: String, name: String, state: String, connection: String, session: Int64, node: String?,
        lastSeenAt: String?, capacity: HostCapacity?, allocatable: HostCapacity? = nil,
        allocated: HostCapacity, agentVersion: String?, hypervisor: HypervisorResource?, libvirtAnswers: Bool,
        bootID: String?, pool: String?, fencedAt: String?,
        deletedAt: String?, sightings: [DomainSighting], labels: [String: String] = [:], revision: Int,
        createdAt: String,
        updatedAt: String
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.connection = connection
        self.session = session
        self.node = node
        self.lastSeenAt = lastSeenAt
        self.capacity = capacity
        self.allocatable = allocatable
        self.allocated = allocated
        self.agentVersion = agentVersion
        self.hypervisor = hypervisor
        self.libvirtAnswers = libvirtAnswers
        self.bootID = bootID
        self.pool = pool
        self.fencedAt = fencedAt
        self.deletedAt = deletedAt
        self.sightings = sightings
        self.labels = labels
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

package struct HostCapacity: Codable, Hashable, Sendable {
    package var cpus: Int
    package var memory: Int  // MiB

    package init(cpus: Int, memory: Int) {
        self.cpus = cpus
        self.memory = memory
    }
}

package struct HypervisorResource: Codable, Hashable, Sendable {
    /// `kvm`, or `qemu` for software emulation.
    package var domainType: String
    package var reason: String
    package var libvirtVersion: String
    package var qemuVersion: String

    package init(domainType: String, reason: String, libvirtVersion: String, qemuVersion: String) {
        self.domainType = domainType
        self.reason = reason
        self.libvirtVersion = libvirtVersion
        self.qemuVersion = qemuVersion
    }
}

package struct AddHostRequest: Codable, Hashable, Sendable {
    package var name: String

    package init(name: String) { self.name = name }
}

/// A new host and the one line to run on it. The join token is shown this once.
package struct AddedHost: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    package var joinToken: String
    package var expiresAt: String
    package var command: String

    package init(id: String, name: String, joinToken: String, expiresAt: String, command: String) {
        self.id = id
        self.name = name
        self.joinToken = joinToken
        self.expiresAt = expiresAt
        self.command = command
    }
}

package struct FenceHostRequest: Codable, Hashable, Sendable {
    /// How the operator knows that the host is off; kept in the audit log.
    package var proof: String

    package init(proof: String) { self.proof = proof }
}

/// What a forced deletion of a host leaves behind.
package struct DeletedHost: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    /// VMs whose domain may still run there; each is `unknown` until the host is fenced.
    package var unresolvedVMs: [String]
    package var cancelledJobs: [String]
    package var sightings: [DomainSighting]

    package init(
        id: String, name: String, unresolvedVMs: [String], cancelledJobs: [String], sightings: [DomainSighting]
    ) {
        self.id = id
        self.name = name
        self.unresolvedVMs = unresolvedVMs
        self.cancelledJobs = cancelledJobs
        self.sightings = sightings
    }
}
