package import Domain

/// How an operator settles what Roost must not decide by itself.
package enum Resolution: Sendable {
    /// The domain that this host (id or name) shows is the VM's from now on.
    case adopt(host: String)
    /// The domain that this host shows is to be ended.
    case stop(host: String)
    /// The VM, which was moved away behind Roost's back, runs nowhere; with the proof, in words.
    case gone(proof: String)
}

extension VMService {
    /// Settles a conflict of a VM. What is to be done on a host is left to a GC job that names the domain's epoch.
    package func resolve(_ reference: String, _ resolution: Resolution, by caller: Caller) async throws -> VMView {
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("vm.resolve") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.view(of: tx.resolveVM(earlier)) }
            let vm = try tx.resolveVM(reference)
            try caller.check(revision: vm.revision)
            try tx.remember(caller, resource: vm.id.rawValue)
            let stored: VM
            switch resolution {
            case .adopt(let host):
                try tx.checkIdle(vm)
                let sighting = try tx.conflict(of: vm, on: host)
                guard vm.canAdopt(on: sighting.host) else { throw Fault.impossible("adopted there", vm) }
                stored = try tx.leaveAdoption(of: vm, at: sighting, by: caller.principal, ids, settings)
            case .stop(let host):
                let sighting = try tx.conflict(of: vm, on: host)
                let payload = JobPayload(mode: .force, timeout: 0, isDeferrable: true)
                let placement = Placement(host: sighting.host, epoch: sighting.epoch)
                try tx.leave(
                    .fresh(
                        .stopVM, for: vm, at: placement, payload: payload, by: caller.principal, ids: ids, now: tx.now),
                    settings)
                stored = vm
            case .gone(let proof): stored = try tx.writeOff(vm, proof, by: caller.principal)
            }
            return try tx.view(of: stored)
        }
    }
}

extension VM {
    /// Whether a domain on `host` could become the VM's, as far as the record says.
    fileprivate func canAdopt(on host: HostID) -> Bool {
        (try? after(.adopted(Placement(host: host, epoch: epoch.next)))) != nil
    }
}

extension Transaction {
    fileprivate func conflict(of vm: VM, on reference: String) throws -> Sighting {
        let host = try resolveHost(reference)
        guard let sighting = try sightings(of: vm.id).first(where: { $0.host == host.id }) else {
            throw Fault(
                .conflict, .domainNotFound, "Host \(host.name) shows no domain of VM \(vm.name) where none should be.",
                hint: "See roost vm show \(vm.name).", field: "host")
        }
        guard sighting.epoch > .none else {
            throw Fault(
                .conflict, .epochConflict, "The domain's epoch cannot be read, so nothing may touch it.",
                hint: "Look at its metadata with virsh dumpxml, and end it by hand if it is not wanted.")
        }
        return sighting
    }

    fileprivate func writeOff(_ vm: VM, _ proof: String, by principal: Principal) throws -> VM {
        guard !proof.isEmpty, proof.utf8.count <= 1000 else {
            throw Fault.invalid("proof", "must say in 1 to 1000 characters how you know that it runs nowhere.")
        }
        guard case .unknown(let placement, let reason) = vm.state, reason.isAstray else {
            throw Fault(
                .conflict, .invalidState, "VM \(vm.name) is \(vm.state.sentence): where it may run is known.",
                hint: "What a lost host held is settled by its fence: roost host fence HOST --proof TEXT.")
        }
        if let seen = try sightings(of: vm.id).first {
            throw Fault(
                .conflict, .placementUnresolved,
                "Host \(try hostName(seen.host)) shows a domain of VM \(vm.name), so it does run.",
                hint: "Take it up, or stop it: roost vm resolve \(vm.name) --adopt|--stop \(try hostName(seen.host)).")
        }
        var next = try vm.after(.writtenOff)
        next.wish += 1
        let stored = try replace(vm, with: next, by: principal)
        try append(
            Event(
                kind: "vm.resolved", vm: vm.id, host: placement.host, epoch: placement.epoch,
                message: "VM \(vm.name) runs nowhere: \(proof)", principal: principal.name))
        return stored
    }
}
