/// Whether the server acts on its records, and where they differ from the hosts.
package struct RecoveryResource: Codable, Hashable, Sendable {
    /// `acting`, or `observing` while restored records wait to be accepted.
    package var state: String
    package var since: String?
    /// Why it only observes, in a sentence.
    package var reason: String?
    /// How often restored records were accepted.
    package var generation: Int64
    /// Hosts that were not heard of since the records were restored.
    package var hosts: [AwaitedHost]
    /// VMs whose record says something else than the hosts.
    package var vms: [DifferingVM]
    /// Domains of VMs that have no record.
    package var domains: [DomainSighting]
    /// Unfinished work from before; none once the records were accepted.
    package var jobs: [RestoredJob]

    package init(
        state: String, since: String?, reason: String?, generation: Int64, hosts: [AwaitedHost], vms: [DifferingVM],
        domains: [DomainSighting], jobs: [RestoredJob]
    ) {
        self.state = state
        self.since = since
        self.reason = reason
        self.generation = generation
        self.hosts = hosts
        self.vms = vms
        self.domains = domains
        self.jobs = jobs
    }
}

package struct AwaitedHost: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    package var lastSeenAt: String?

    package init(id: String, name: String, lastSeenAt: String?) {
        self.id = id
        self.name = name
        self.lastSeenAt = lastSeenAt
    }
}

package struct DifferingVM: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    /// What the record says.
    package var state: String
    package var host: String?
    package var epoch: Int64
    /// Live domains of it that the record does not know.
    package var seen: [DomainSighting]
    /// `adopted`, `stopped`, `waiting` or `contested`.
    package var fate: String
    /// What is so and what accepting does about it, in a sentence.
    package var why: String

    package init(
        id: String, name: String, state: String, host: String?, epoch: Int64, seen: [DomainSighting], fate: String,
        why: String
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.host = host
        self.epoch = epoch
        self.seen = seen
        self.fate = fate
        self.why = why
    }
}

package struct RestoredJob: Codable, Hashable, Sendable {
    package var id: String
    package var kind: String
    package var vm: String?
    package var host: String
    package var epoch: Int64
    /// What it would do.
    package var doing: String
    /// What accepting makes of it: `superseded`, `cancelled` or `parked`.
    package var fate: String

    package init(id: String, kind: String, vm: String?, host: String, epoch: Int64, doing: String, fate: String) {
        self.id = id
        self.kind = kind
        self.vm = vm
        self.host = host
        self.epoch = epoch
        self.doing = doing
        self.fate = fate
    }
}
