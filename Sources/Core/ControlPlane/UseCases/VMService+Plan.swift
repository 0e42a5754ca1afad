package import Domain

extension VMService {
    /// Says where a VM of this size, with these labels and rules, would start now, and what speaks for or against each host.
    /// Places and reserves nothing.
    package func plan(
        cpus: Int, memory: Int, labels: Labels = .none, rules: PlacementRules = .none
    ) async throws -> [PlacementVerdict] {
        try Self.check(cpus: cpus, memory: memory)
        let need = PlacementNeed(cpus: cpus, memory: memory, pool: nil, labels: labels, rules: rules)
        let policy = context.settings.capacity
        return try await context.database.read { tx in
            PlacementChoice.verdicts(need, in: try tx.fleet(for: need, policy))
        }
    }
}

extension Transaction {
    /// All hosts, and the placed VMs that `need` is about, as placement sees them.
    func fleet(for need: PlacementNeed, _ policy: CapacityPolicy) throws -> Fleet {
        let candidates = try allHosts().map {
            Candidate(host: $0, allocated: try allocated(on: $0.id), policy: policy)
        }
        return Fleet(candidates: candidates, neighbours: try neighbours(concerning: need.labels, need.rules))
    }

    /// The host that `wanted` names (by id or name), or the best of all but `excluded`; throws when it cannot take the VM, or
    /// none can.
    func placementHost(
        for need: PlacementNeed, wanted: String?, except excluded: HostID? = nil, _ policy: CapacityPolicy
    ) throws -> Host {
        let whole = try fleet(for: need, policy)
        let fleet = Fleet(
            candidates: whole.candidates.filter { $0.host.id != excluded }, neighbours: whole.neighbours)
        guard let wanted else { return try PlacementChoice.choose(need, in: fleet) }
        let host = try resolveHost(wanted)
        let candidate = Candidate(host: host, allocated: try allocated(on: host.id), policy: policy)
        if let refusal = PlacementChoice.refusal(of: candidate, for: need, in: fleet) { throw refusal }
        return host
    }
}
