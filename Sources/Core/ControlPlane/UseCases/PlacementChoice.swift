package import Domain

/// A host as placement sees it.
package struct Candidate: Hashable, Sendable {
    package let host: Host
    package let allocated: Allocation

    package init(host: Host, allocated: Allocation) {
        self.host = host
        self.allocated = allocated
    }
}

/// What a VM needs of a host.
package struct PlacementNeed: Hashable, Sendable {
    package let cpus: Int
    package let memory: Int  // MiB
    /// The pool that holds its root disk, if it has one already.
    package let pool: PoolID?

    package init(cpus: Int, memory: Int, pool: PoolID?) {
        self.cpus = cpus
        self.memory = memory
        self.pool = pool
    }
}

/// What placement says of one host.
package struct PlacementVerdict: Hashable, Sendable {
    package let candidate: Candidate
    /// Why the host cannot take the VM; nil if it can.
    package let refusal: Fault?
}

/// Decides where a VM starts. Pure.
package enum PlacementChoice {
    /// What there is to say of each candidate: those that can take the VM first, the best of them at the head.
    ///
    /// The best has the most free memory; among equals it is the first by name.
    package static func verdicts(_ need: PlacementNeed, on candidates: [Candidate]) -> [PlacementVerdict] {
        candidates.map { PlacementVerdict(candidate: $0, refusal: refusal(of: $0, for: need)) }.sorted { left, right in
            switch (left.refusal == nil, right.refusal == nil) {
            case (true, false): true
            case (false, true): false
            case (true, true):
                (right.candidate.freeMemory, left.candidate.host.name)
                    < (left.candidate.freeMemory, right.candidate.host.name)
            case (false, false): left.candidate.host.name < right.candidate.host.name
            }
        }
    }

    /// The best of `candidates`; throws with what speaks against each when none can take the VM.
    package static func choose(_ need: PlacementNeed, among candidates: [Candidate]) throws(Fault) -> Host {
        let verdicts = verdicts(need, on: candidates)
        if let best = verdicts.first, best.refusal == nil { return best.candidate.host }
        let reasons = verdicts.compactMap { verdict in
            verdict.refusal.map { "\(verdict.candidate.host.name): \($0.message)" }
        }
        throw Fault(
            .conflict, .noCapacity, "No host can take the VM.",
            hint: reasons.isEmpty ? "Add a host: roost host add NAME." : reasons.joined(separator: " "))
    }

    /// Why `candidate` cannot take the VM; nil if it can.
    package static func refusal(of candidate: Candidate, for need: PlacementNeed) -> Fault? {
        let host = candidate.host
        switch host.state {
        case .enabled: break
        case .disabled, .maintenance:
            return Fault(
                .conflict, .invalidState, "The host is \(host.state.rawValue).",
                hint: "Enable it: roost host enable \(host.name).")
        }
        guard host.connection == .connected, let facts = host.facts else {
            return Fault(
                .unavailable, .hostUnreachable, "The host is not connected.",
                hint: "See roost host show \(host.name).")
        }
        guard host.libvirtAnswers else {
            return Fault(
                .unavailable, .libvirtUnavailable, "The host's libvirt does not answer.",
                hint: "Start libvirtd there.")
        }
        if let pool = need.pool, pool != facts.pool {
            return Fault(
                .conflict, .diskElsewhere, "The VM's root disk is in another pool.",
                hint: "Start it on a host that shares the pool.")
        }
        guard need.cpus <= facts.cpus else {
            return Fault(.conflict, .noCapacity, "The host has \(facts.cpus) CPUs; the VM needs \(need.cpus).")
        }
        guard need.memory <= candidate.freeMemory else {
            return Fault(
                .conflict, .noCapacity,
                "The host has \(candidate.freeMemory) MiB free; the VM needs \(need.memory).")
        }
        return nil
    }
}

extension Candidate {
    /// MiB that no placement holds.
    package var freeMemory: Int { (host.facts?.memory ?? 0) - allocated.memory }
}
