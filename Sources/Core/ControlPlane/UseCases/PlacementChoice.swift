package import Domain

/// A host as placement sees it.
package struct Candidate: Hashable, Sendable {
    package let host: Host
    /// What placements hold.
    package private(set) var allocated: Allocation
    /// What placements may hold together; nothing on a host whose agent never said how large it is.
    package let allocatable: Allocation

    package init(host: Host, allocated: Allocation, policy: CapacityPolicy = CapacityPolicy()) {
        self.host = host
        self.allocated = allocated
        allocatable = host.facts.map { policy.allocatable(of: Allocation($0)) } ?? Allocation(cpus: 0, memory: 0)
    }

    /// The host once it also holds `need`.
    func holding(_ need: PlacementNeed) -> Candidate {
        var next = self
        next.allocated = Allocation(cpus: allocated.cpus + need.cpus, memory: allocated.memory + need.memory)
        return next
    }

    /// MiB that can be handed out; below zero where more is placed than the policy allows now.
    package var freeMemory: Int { allocatable.memory - allocated.memory }
    /// The same in virtual CPUs.
    package var freeCPUs: Int { allocatable.cpus - allocated.cpus }

    package var score: PlacementScore {
        PlacementScore(
            freeMemory: PlacementScore.share(freeMemory, of: allocatable.memory),
            freeCPUs: PlacementScore.share(freeCPUs, of: allocatable.cpus))
    }
}

/// A VM that is placed, as the rules of another see it.
package struct Neighbour: Hashable, Sendable {
    package let vm: VMID
    package let name: String
    package let host: HostID
    package let labels: Labels
    /// Labels of VMs that it keeps away from its host.
    package let antiAffinity: Labels

    package init(vm: VMID, name: String, host: HostID, labels: Labels, antiAffinity: Labels) {
        self.vm = vm
        self.name = name
        self.host = host
        self.labels = labels
        self.antiAffinity = antiAffinity
    }
}

/// All that placement decides on: the hosts, and the placed VMs that the rules in question are about.
package struct Fleet: Hashable, Sendable {
    package let candidates: [Candidate]
    /// Also those on hosts that are no candidates.
    package let neighbours: [Neighbour]

    package init(candidates: [Candidate], neighbours: [Neighbour] = []) {
        self.candidates = candidates
        self.neighbours = neighbours
    }
}

/// What a VM needs of a host.
package struct PlacementNeed: Hashable, Sendable {
    /// nil for one that is not recorded yet.
    package let vm: VMID?
    package let cpus: Int
    package let memory: Int  // MiB
    /// The pool that holds its root disk, if it has one already.
    package var pool: PoolID?
    package let labels: Labels
    package let rules: PlacementRules

    package init(
        vm: VMID? = nil, cpus: Int, memory: Int, pool: PoolID?, labels: Labels = .none, rules: PlacementRules = .none
    ) {
        self.vm = vm
        self.cpus = cpus
        self.memory = memory
        self.pool = pool
        self.labels = labels
        self.rules = rules
    }

    package init(of vm: VM) {
        self.init(vm: vm.id, cpus: vm.cpus, memory: vm.memory, pool: vm.pool, labels: vm.labels, rules: vm.rules)
    }
}

/// How well a host suits: what is free of all that it may hand out. The higher score wins, and memory counts first.
package struct PlacementScore: Hashable, Sendable, Comparable {
    /// Thousandths.
    package let freeMemory: Int
    /// Thousandths.
    package let freeCPUs: Int

    package static func < (left: PlacementScore, right: PlacementScore) -> Bool {
        (left.freeMemory, left.freeCPUs) < (right.freeMemory, right.freeCPUs)
    }

    /// Thousandths, rounded down; 0 where nothing is free.
    static func share(_ free: Int, of all: Int) -> Int {
        guard free > 0, all > 0 else { return 0 }
        return Int(Double(min(free, all)) / Double(all) * 1000)
    }
}

/// What placement says of one host.
package struct PlacementVerdict: Hashable, Sendable {
    package let candidate: Candidate
    /// Why the host cannot take the VM; nil if it can. Its code says which of the filters refused.
    package let refusal: Fault?
}

/// Decides where a VM starts. Pure.
package enum PlacementChoice {
    /// What there is to say of each host: those that can take the VM first, the best of them at the head.
    ///
    /// The best has the highest score; among equals it is the first by name.
    package static func verdicts(_ need: PlacementNeed, in fleet: Fleet) -> [PlacementVerdict] {
        let verdicts = fleet.candidates.map {
            PlacementVerdict(candidate: $0, refusal: refusal(of: $0, for: need, in: fleet))
        }
        return verdicts.sorted { left, right in
            switch (left.refusal == nil, right.refusal == nil) {
            case (true, false): true
            case (false, true): false
            case (true, true):
                (right.candidate.score, left.candidate.host.name) < (left.candidate.score, right.candidate.host.name)
            case (false, false): left.candidate.host.name < right.candidate.host.name
            }
        }
    }

    /// The best host; throws with what speaks against each when none can take the VM.
    package static func choose(_ need: PlacementNeed, in fleet: Fleet) throws(Fault) -> Host {
        let verdicts = verdicts(need, in: fleet)
        if let best = verdicts.first, best.refusal == nil { return best.candidate.host }
        let reasons = verdicts.compactMap { verdict in
            verdict.refusal.map { "\(verdict.candidate.host.name): \($0.message)" }
        }
        throw Fault(
            .conflict, .noCapacity, "No host can take the VM.",
            hint: reasons.isEmpty ? "Add a host: roost host add NAME." : reasons.joined(separator: " "))
    }

    /// Why `candidate` cannot take the VM; nil if it can.
    package static func refusal(of candidate: Candidate, for need: PlacementNeed, in fleet: Fleet) -> Fault? {
        unreadiness(of: candidate.host) ?? mismatch(of: candidate.host, with: need) ?? shortage(
            of: candidate, for: need)
            ?? distance(of: candidate.host, to: need, fleet.neighbours)
            ?? crowding(of: candidate.host, by: need, fleet.neighbours)
    }

    /// The host takes no VM now.
    private static func unreadiness(of host: Host) -> Fault? {
        switch host.state {
        case .enabled: break
        case .disabled, .maintenance:
            return Fault(
                .conflict, .invalidState, "The host is \(host.state.rawValue).",
                hint: "Enable it: roost host enable \(host.name).")
        }
        guard host.connection == .connected, host.facts != nil else {
            return Fault(
                .unavailable, .hostUnreachable, "The host is not connected.",
                hint: "See roost host show \(host.name).")
        }
        guard host.libvirtAnswers else {
            return Fault(
                .unavailable, .libvirtUnavailable, "The host's libvirt does not answer.",
                hint: "Start libvirtd there.")
        }
        return nil
    }

    /// The host is not of the kind that the VM asks for.
    private static func mismatch(of host: Host, with need: PlacementNeed) -> Fault? {
        if let missing = host.labels.firstMissing(of: need.rules.hostLabels) {
            return Fault(
                .conflict, .labelsMismatch, "The host does not have the label \(missing.key)=\(missing.value).",
                hint: "Give it the label: roost host label \(host.name) \(missing.key)=\(missing.value).")
        }
        if let pool = need.pool, pool != host.facts?.pool {
            return Fault(
                .conflict, .diskElsewhere, "The VM's root disk is in another pool.",
                hint: "Start it on a host that shares the pool.")
        }
        return nil
    }

    /// The host has no room.
    private static func shortage(of candidate: Candidate, for need: PlacementNeed) -> Fault? {
        let cpus = candidate.host.facts?.cpus ?? 0
        guard need.cpus <= cpus else {
            return Fault(.conflict, .noCapacity, "The host has \(cpus) CPUs; the VM needs \(need.cpus).")
        }
        guard need.cpus <= candidate.freeCPUs else {
            return Fault(
                .conflict, .noCapacity,
                "The host has \(max(candidate.freeCPUs, 0)) of \(candidate.allocatable.cpus) virtual CPUs free; the VM "
                    + "needs \(need.cpus).")
        }
        guard need.memory <= candidate.freeMemory else {
            return Fault(
                .conflict, .noCapacity,
                "The host has \(max(candidate.freeMemory, 0)) MiB free; the VM needs \(need.memory).")
        }
        return nil
    }

    /// VMs that this one wants to be with are elsewhere only.
    private static func distance(of host: Host, to need: PlacementNeed, _ neighbours: [Neighbour]) -> Fault? {
        for label in need.rules.affinity.pairs {
            let wanted = neighbours.filter { $0.vm != need.vm && $0.labels.has(label) }
            guard !wanted.isEmpty, !wanted.contains(where: { $0.host == host.id }) else { continue }
            return Fault(
                .conflict, .affinity,
                "VMs with the label \(label.key)=\(label.value) are placed, and none of them here.",
                hint: "See roost vm list --label \(label.key)=\(label.value).")
        }
        return nil
    }

    /// A VM on the host keeps this one away, or this one it.
    private static func crowding(of host: Host, by need: PlacementNeed, _ neighbours: [Neighbour]) -> Fault? {
        for other in neighbours where other.host == host.id && other.vm != need.vm {
            if let label = need.rules.antiAffinity.firstShared(with: other.labels) {
                return Fault(
                    .conflict, .antiAffinity,
                    "VM \(other.name) on it has the label \(label.key)=\(label.value), which the VM stays away from.")
            }
            if let label = need.labels.firstShared(with: other.antiAffinity) {
                return Fault(
                    .conflict, .antiAffinity,
                    "VM \(other.name) on it stays away from the label \(label.key)=\(label.value), which the VM has.")
            }
        }
        return nil
    }
}

extension Allocation {
    /// All that a host has.
    package init(_ facts: HostFacts) { self.init(cpus: facts.cpus, memory: facts.memory) }
}
