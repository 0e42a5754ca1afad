package import Domain

/// What is to become of each VM on a host that is drained. Pure.
package struct DrainPlan: Hashable, Sendable {
    /// The largest VM first, because it has the least choice.
    package let items: [Item]

    package struct Item: Hashable, Sendable {
        package let vm: VM
        package let verdict: Verdict
    }

    package enum Verdict: Hashable, Sendable {
        /// It can move there, live, beside all that come before it in the plan.
        case moves(to: Host)
        /// It leaves already: by a move to this host, or by its end.
        case leaves(to: HostID?)
        /// It runs and could be asked to move or stop, and no host can take it, or could if it were reached.
        case immovable(Fault)
        /// Nothing can be done with it for now.
        case waits(Fault)
    }

    /// - Parameters:
    ///   - vms: those that are placed on `host`, moves that lead there included.
    ///   - fleet: all hosts, and the placed VMs that the rules of `vms` are about.
    ///   - overrides: verdicts that are settled beforehand, for VMs that could be moved otherwise.
    package init(draining host: Host, _ vms: [VM], in fleet: Fleet, overrides: [VMID: Verdict] = [:]) {
        var draft = Draft(host: host, fleet: fleet)
        let inOrder = vms.sorted { ($1.memory, $1.cpus, $0.name) < ($0.memory, $0.cpus, $1.name) }
        items = inOrder.map { vm in
            let verdict = draft.obstacle(to: vm) ?? overrides[vm.id] ?? draft.place(vm)
            return Item(vm: vm, verdict: verdict)
        }
    }

    /// The fleet as it is once the moves that were planned so far are granted.
    private struct Draft {
        let host: Host
        var candidates: [Candidate]
        var neighbours: [Neighbour]

        init(host: Host, fleet: Fleet) {
            self.host = host
            candidates = fleet.candidates.filter { $0.host.id != host.id }
            // Those that are to leave hold nobody back who wants to be with them.
            neighbours = fleet.neighbours.filter { $0.host != host.id }
        }

        /// What keeps the VM from being moved or stopped now, if anything.
        func obstacle(to vm: VM) -> Verdict? {
            switch vm.state {
            case .running, .paused: break
            case .migrating(let move) where move.source.host == host.id: return .leaves(to: move.destination.host)
            case .stopping(_, waiting: nil), .destroying(_, waiting: nil): return .leaves(to: nil)
            case .migrating: return .waits(.arriving(vm))
            case .stopping, .destroying, .unknown: return .waits(.unsettled(vm))
            case .starting, .pausing, .resuming, .rebooting: return .waits(.busy(vm))
            // Not placed anywhere: nothing of it is in the way.
            case .created, .stopped, .crashed, .destroyed, .expunging: return .leaves(to: nil)
            }
            if vm.operation != nil { return .waits(.busy(vm)) }
            guard host.connection == .connected, host.libvirtAnswers else { return .waits(.silent(host)) }
            return nil
        }

        /// Chooses the best host, and holds the VM's room there.
        mutating func place(_ vm: VM) -> Verdict {
            let need = PlacementNeed(of: vm)
            let verdicts = PlacementChoice.verdicts(need, in: Fleet(candidates: candidates, neighbours: neighbours))
            var refusals: [(host: String, why: Fault)] = []
            for verdict in verdicts {
                let target = verdict.candidate.host
                if let why = verdict.refusal ?? Fault.mismatch(moving: vm, from: host, to: target) {
                    refusals.append((target.name, why))
                    continue
                }
                candidates = candidates.map { $0.host.id == target.id ? $0.holding(need) : $0 }
                neighbours.append(
                    Neighbour(
                        vm: vm.id, name: vm.name, host: target.id, labels: vm.labels,
                        antiAffinity: vm.rules.antiAffinity))
                return .moves(to: target)
            }
            // A host that is only away may take it when it is back; nothing is stopped because of that.
            let isHopeful = refusals.contains { $0.why.kind == .unavailable }
            return isHopeful ? .waits(.nowhereToGo(refusals)) : .immovable(.nowhereToGo(refusals))
        }
    }
}

extension Fault {
    /// How many different reasons, and hosts with each, are named.
    private static let namedAtMost = 4

    /// No host can take a VM; says what speaks against each.
    fileprivate static func nowhereToGo(_ refusals: [(host: String, why: Fault)]) -> Fault {
        guard let first = refusals.first else {
            return Fault(.conflict, .noCapacity, "There is no other host.", hint: "Add one: roost host add NAME.")
        }
        var hosts: [String: [String]] = [:]
        var reasons: [String] = []
        for refusal in refusals {
            if hosts[refusal.why.message] == nil { reasons.append(refusal.why.message) }
            hosts[refusal.why.message, default: []].append(refusal.host)
        }
        let named = reasons.prefix(namedAtMost).map { reason in
            let all = hosts[reason] ?? []
            let more = all.count > namedAtMost ? " and \(all.count - namedAtMost) more" : ""
            return "\(all.prefix(namedAtMost).joined(separator: ", "))\(more): \(reason)"
        }
        let isOneKind = refusals.allSatisfy { $0.why.code == first.why.code }
        return Fault(
            .conflict, isOneKind ? first.why.code : .noCapacity,
            (["No host can take it."] + named).joined(separator: " "),
            hint: "It runs on. Make room, or have it stopped: roost host maintain --stop-immovable.")
    }

    fileprivate static func arriving(_ vm: VM) -> Fault {
        Fault(.conflict, .operationInProgress, "It is on its way to this host.", hint: cancelHint(vm))
    }

    fileprivate static func busy(_ vm: VM) -> Fault {
        Fault(
            .conflict, .operationInProgress, "It is \(vm.state.sentence), and an operation on it is under way.",
            hint: vm.operation.map { "Wait for it: roost operation wait \($0)." })
    }

    fileprivate static func unsettled(_ vm: VM) -> Fault {
        Fault(.conflict, .placementUnresolved, "It is \(vm.state.sentence).")
    }

    fileprivate static func silent(_ host: Host) -> Fault {
        host.connection == .connected
            ? Fault(.unavailable, .libvirtUnavailable, "libvirt on host \(host.name) does not answer.")
            : Fault(.unavailable, .hostUnreachable, "Host \(host.name) is \(host.connection.rawValue).")
    }

    private static func cancelHint(_ vm: VM) -> String? {
        vm.operation.map { "Its move can be cancelled: roost operation cancel \($0)." }
    }
}

extension Transaction {
    /// The plan for what is placed on `host` now.
    func drainPlan(
        of host: Host, _ vms: [VM], _ policy: CapacityPolicy, overrides: [VMID: DrainPlan.Verdict] = [:]
    ) throws -> DrainPlan {
        let candidates = try allHosts().map {
            Candidate(host: $0, allocated: try allocated(on: $0.id), policy: policy)
        }
        let concerned = try vms.reduce(into: Set<Neighbour>()) { all, vm in
            all.formUnion(try neighbours(concerning: vm.labels, vm.rules))
        }
        let fleet = Fleet(
            candidates: candidates, neighbours: concerned.sorted { ($0.name, $0.host) < ($1.name, $1.host) })
        return DrainPlan(draining: host, vms, in: fleet, overrides: overrides)
    }
}
