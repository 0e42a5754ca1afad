package import Domain

extension VMService {
    /// Brings a destroyed VM back: it is `stopped`, with its disk, its epoch, and its name unless `name` gives another.
    ///
    /// Possible while it is kept. Refused with `name-taken` when another VM has the name by now.
    package func recover(_ reference: String, as name: String? = nil, by caller: Caller) async throws -> Job {
        let name = try name.map { name throws(Fault) in try Name.checked(name) }
        let ids = context.ids
        return try await context.database.write("vm.recover") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let vm = try tx.resolveVM(reference, orDestroyed: true)
            try caller.check(revision: vm.revision)
            guard var next = try? vm.after(.recovered) else { throw try tx.impossible("recovered", vm, reference) }
            guard !vm.isGivenUp(at: tx.now) else {
                throw Fault(
                    .conflict, .invalidState, "The time for which VM \(vm.name) was kept is over.",
                    hint: "It is about to be expunged.")
            }
            next.name = name ?? vm.name
            next.wish += 1
            if try tx.vm(named: next.name) != nil {
                throw Fault(
                    .conflict, .nameTaken, "Another VM has the name '\(next.name)'.",
                    hint: "Recover it under another name: roost vm recover \(vm.id) --name NAME.", field: "name")
            }
            _ = try tx.replace(vm, with: next, by: caller.principal)
            let placement = vm.latestPlacement ?? Placement(host: .nowhere, epoch: vm.epoch)
            let operation = Job.fresh(
                .recoverOperation, for: next, at: placement, payload: JobPayload(), by: caller.principal, ids: ids,
                now: tx.now)
            try tx.remember(caller, resource: operation.id.rawValue)
            return try tx.enqueue(operation.ended(JobEnd(.succeeded, .recovered), at: tx.now))
        }
    }

    /// Gives a destroyed VM up before its time: its disk and what else its host holds of it are removed, then its record.
    ///
    /// When the host cannot be asked, a GC job waits for it, and the operation has ended with the outcome `deferred`.
    package func expunge(_ reference: String, by caller: Caller) async throws -> Job {
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("vm.expunge") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let vm = try tx.resolveVM(reference, orDestroyed: true)
            try caller.check(revision: vm.revision)
            guard vm.state == .destroyed else { throw try tx.impossible("expunged", vm, reference) }
            try tx.checkSettled(vm)
            return try tx.expunge(destroyed: vm, .expungeOperation, by: caller, ids, settings)
        }
    }
}

extension Transaction {
    /// Accepts that a destroyed VM is expunged, as an operation of `kind`.
    func expunge(
        destroyed vm: VM, _ kind: JobKind, by caller: Caller, _ ids: any IDSource, _ settings: ControlSettings
    ) throws -> Job {
        var next = vm
        next.wish += 1
        let placement = vm.latestPlacement ?? Placement(host: .nowhere, epoch: vm.epoch)
        let operation = Job.fresh(
            kind, for: next, at: placement, payload: JobPayload(removesDisk: true), by: caller.principal, ids: ids,
            now: now)
        try remember(caller, resource: operation.id.rawValue)
        let stored = try expunge(vm, as: next, followedBy: operation, by: caller.principal, ids, settings)
        return stored ?? operation
    }

    /// The refusal of what only a destroyed VM can be. By its name a living VM is found first, though a destroyed one may
    /// have been meant.
    fileprivate func impossible(_ verb: String, _ vm: VM, _ reference: String) throws -> Fault {
        let refusal = Fault.impossible(verb, vm)
        guard reference != vm.id.rawValue, let past = try destroyedVMs(named: reference, limit: 1).first,
            past.id != vm.id
        else {
            guard verb == "expunged", vm.state.label != .destroying, vm.state.label != .expunging else {
                return refusal
            }
            return Fault(
                refusal.kind, refusal.code, refusal.message,
                hint: "Delete it first, or do both at once: roost vm delete \(vm.name) --expunge.")
        }
        return Fault(
            refusal.kind, refusal.code, refusal.message,
            hint: "A destroyed VM of this name has the id \(past.id): use that, if you mean it.")
    }
}
