import APIContract
import Domain

extension HostResource {
    static let shape = ResourceShape<HostResource>(
        "Host",
        [
            .text("id", "The host's id.", format: "uuid") { $0.id },
            .text("name", "Unique among hosts.") { $0.name },
            .text("state", "Whether it takes new VMs.", oneOf: Host.AdminState.allCases.map(\.rawValue)) { $0.state },
            .text("connection", "Whether its agent has a session.", oneOf: Host.Connection.allCases.map(\.rawValue)) {
                $0.connection
            },
            .integer("session", "The number of the latest session; 0 before the first.") { $0.session },
            .optionalText("node", "The management node that holds the session.") { $0.node },
            .optionalText("lastSeenAt", "When the agent was last heard.", format: "date-time") { $0.lastSeenAt },
            .optionalOne("capacity", HostCapacity.shape) { $0.capacity },
            .optionalOne("allocatable", HostCapacity.shape) { $0.allocatable },
            .one("allocated", HostCapacity.shape) { $0.allocated },
            .optionalText("agentVersion", "The agent's version.") { $0.agentVersion },
            .optionalOne("hypervisor", HypervisorResource.shape) { $0.hypervisor },
            .flag("libvirtAnswers", "Whether the host's libvirt answered when it was last asked.") {
                $0.libvirtAnswers
            },
            .optionalText("bootID", "The host's boot, as its agent last told it.") { $0.bootID },
            .optionalText("pool", "The id of the pool that holds root disks.", format: "uuid") { $0.pool },
            .optionalText("fencedAt", "When it was last proven off.", format: "date-time") { $0.fencedAt },
            .optionalText("deletedAt", "When it was deleted.", format: "date-time") { $0.deletedAt },
            .list("sightings", DomainSighting.shape) { $0.sightings },
            .labels("labels", "What people say of it.") { $0.labels },
            .integer("revision", "Rises with every change; also the ETag.") { Int64($0.revision) },
            .text("createdAt", "When it was added.", format: "date-time") { $0.createdAt },
            .text("updatedAt", "When it last changed.", format: "date-time") { $0.updatedAt },
        ])
}

extension HostCapacity {
    static let shape = ResourceShape<HostCapacity>(
        "HostCapacity",
        [
            .integer("cpus", "CPUs.") { Int64($0.cpus) },
            .integer("memory", "MiB.") { Int64($0.memory) },
        ])
}

extension HypervisorResource {
    static let shape = ResourceShape<HypervisorResource>(
        "Hypervisor",
        [
            .text("domainType", "How guests run there: `qemu` is software emulation.", oneOf: ["kvm", "qemu"]) {
                $0.domainType
            },
            .text("reason", "What the agent's probe saw.") { $0.reason },
            .text("libvirtVersion", "libvirt's version.") { $0.libvirtVersion },
            .text("qemuVersion", "QEMU's version.") { $0.qemuVersion },
        ])
}

extension AddedHost {
    static let shape = ResourceShape<AddedHost>(
        "AddedHost",
        [
            .text("id", "The host's id.", format: "uuid") { $0.id },
            .text("name", "The host's name.") { $0.name },
            .text("joinToken", "Works once; shown this once.") { $0.joinToken },
            .text("expiresAt", "When the join token ends.", format: "date-time") { $0.expiresAt },
            .text("command", "The line to run on that host.") { $0.command },
        ])
}

extension DeletedHost {
    static let shape = ResourceShape<DeletedHost>(
        "DeletedHost",
        [
            .text("id", "The host's id.", format: "uuid") { $0.id },
            .text("name", "The host's name.") { $0.name },
            .texts("unresolvedVMs", "VMs whose domain may still run there; each is `unknown` until the host is fenced.")
            {
                $0.unresolvedVMs
            },
            .texts("cancelledJobs", "Jobs that ended because the host is gone.") { $0.cancelledJobs },
            .list("sightings", DomainSighting.shape) { $0.sightings },
        ])
}
