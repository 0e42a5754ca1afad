package import Domain

/// Records that were brought back from an older copy: nothing is done on their word until somebody has accepted them.
extension Transaction {
    /// How far the records have come.
    package func recordPoint() throws -> RecordPoint {
        RecordPoint(generation: try recovery().generation, event: try latestEventID())
    }

    /// From now on Roost only observes: nothing of what is placed is known before its host shows it again, and no host
    /// counts as heard of.
    ///
    /// - Parameter isCopy: no server works on these records: whoever did when they were copied holds nothing any more.
    package func beginRecovery(_ reason: String, isCopy: Bool) throws {
        var recovery = try recovery()
        guard recovery.observing == nil || isCopy else { return }
        recovery.observing = Recovery.Observing(since: now, reason: reason)
        try put(recovery)
        if isCopy {
            for node in try nodes() { try removeNode(node.id) }
            try freeStranded()
        }
        try breakLeases()
        for var host in try allHosts() {
            host.isAwaited = true
            _ = try replace(host, atRevision: host.revision)
        }
        for vm in try allVMs() where vm.restored != vm { _ = try replace(vm, with: vm.restored) }
        try append(Event(kind: "recovery.observing", message: "Roost only observes. \(reason)"))
    }

    /// Throws while Roost only observes.
    func checkActing() throws {
        guard let observing = try recovery().observing else { return }
        throw Fault(
            .conflict, .recovering, "Roost only observes, and changes nothing. \(observing.reason)",
            hint: "See what differs with roost recover; roost recover --accept lets it act again.")
    }

    /// A host that may run `vm`, which the records have without a domain: it was not heard of since they were restored.
    func unheardHost(concerning vm: VM) throws -> Host? {
        guard vm.state.placement == nil, vm.state != .expunging else { return nil }
        let recovery = try recovery()
        guard recovery.observing != nil || recovery.base == vm.epoch else { return nil }
        return try awaitedHosts().first
    }

    /// Throws while a domain of `vm` may run that the restored records do not know.
    func checkSettled(_ vm: VM) throws {
        guard try recovery().base == vm.epoch else { return }
        if let host = try awaitedHosts().first {
            throw Fault(
                .conflict, .placementUnresolved,
                "VM \(vm.name) may run on host \(host.name), which was not heard of since the records were restored.",
                hint: "Let its agent connect; or, if it is off for good, prove it: "
                    + "roost host fence \(try fenceReference(of: host.id)) --proof TEXT.")
        }
        if let seen = try sightings(of: vm.id).first {
            throw Fault(
                .conflict, .placementUnresolved,
                "A domain of VM \(vm.name) with epoch \(seen.epoch) runs on host \(try hostName(seen.host)), which the "
                    + "restored records do not know.",
                hint: "See roost recover.")
        }
    }

    /// The lowest epoch that a new record of a VM may have that was there before: `isSeen` if its domain runs.
    func lowestEpoch(isSeen: Bool) throws -> Epoch {
        guard let base = try recovery().base else { return .none }
        return isSeen ? base.next : base
    }

    /// `host` has told all that it runs, or is proven off.
    func noteHeard(_ host: inout Host) { host.isAwaited = false }

    /// Once every host was heard of, a VM that none of them shows runs nowhere.
    func settleRestored() throws {
        guard try recovery().observing == nil, try awaitedHosts().isEmpty else { return }
        for vm in try allVMs() where vm.state.waiting == .recordsRestored {
            guard try sightings(of: vm.id).isEmpty else { continue }
            _ = try replace(vm, with: try vm.after(.writtenOff))
        }
    }
}

extension Inventory {
    /// Whether it says of every domain that the host may have, whether it has it.
    var isComplete: Bool { libvirtAnswered && busy.isEmpty }
}
