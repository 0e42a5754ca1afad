package import APIContract
package import ControlPlane
import Domain

extension HostResource {
    /// `allocatable` is what placements on it may hold together.
    package init(_ view: HostView, allocatable: Allocation?) {
        let host = view.host
        self.init(
            id: host.id.rawValue, name: host.name, state: host.state.rawValue, connection: host.connection.rawValue,
            session: host.session, node: host.node,
            lastSeenAt: host.lastSeenAt?.rfc3339, capacity: host.facts.map { HostCapacity($0) },
            allocatable: allocatable.map { HostCapacity($0) }, allocated: HostCapacity(view.allocated),
            agentVersion: host.facts?.agentVersion, hypervisor: host.facts.map { HypervisorResource($0.hypervisor) },
            libvirtAnswers: host.libvirtAnswers, bootID: host.bootID, pool: host.facts?.pool.rawValue,
            fencedAt: host.fencedAt?.rfc3339, deletedAt: host.deletedAt?.rfc3339,
            sightings: view.sightings.map { DomainSighting($0) }, labels: host.labels.values,
            revision: host.revision, createdAt: host.createdAt.rfc3339, updatedAt: host.updatedAt.rfc3339)
    }
}

extension HostCapacity {
    init(_ facts: HostFacts) { self.init(cpus: facts.cpus, memory: facts.memory) }

    init(_ allocation: Allocation) { self.init(cpus: allocation.cpus, memory: allocation.memory) }
}

extension HypervisorResource {
    init(_ facts: HypervisorFacts) {
        self.init(
            domainType: facts.domainType, reason: facts.reason, libvirtVersion: facts.libvirtVersion,
            qemuVersion: facts.qemuVersion)
    }
}

extension AddedHost {
    init(_ host: NewHost) {
        self.init(
            id: host.id.rawValue, name: host.name, joinToken: host.joinToken, expiresAt: host.expiresAt.rfc3339,
            command: host.command)
    }
}

extension DeletedHost {
    init(_ removal: HostRemoval) {
        self.init(
            id: removal.host.id.rawValue, name: removal.host.name,
            unresolvedVMs: removal.unresolved.map(\.id.rawValue),
            cancelledJobs: removal.cancelled.map(\.id.rawValue),
            sightings: removal.sightings.map { DomainSighting($0) })
    }
}
