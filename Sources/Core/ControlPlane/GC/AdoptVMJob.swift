import Domain

/// Takes a domain up that came to be on a host without Roost: it gets the epoch that was granted for it, and the VM is placed
/// there. The job names host and epoch; another domain is not touched.
struct AdoptVMJob: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard let granted = job.payload.grantedEpoch, try await isWanted(job) else { return try await supersede(job) }
        await context.faults.reach("gc-adopt.before-command")
        let command = AdoptVMCommand(vm: job.vm, epoch: job.epoch, grantedEpoch: granted)
        let end = await context.driver(of: job.host).adopt(command, as: job.command)
        await context.faults.reach("gc-adopt.before-write")
        switch end {
        case .done: return try await finish(job, Placement(host: job.host, epoch: granted))
        // It is not there any more, or is another by now.
        case .rejected(let fault) where fault.code == .domainNotFound || fault.code == .staleEpoch:
            return try await supersede(job)
        case .rejected(let fault) where fault.code == .libvirtUnavailable: return .again(fault, .host)
        case .rejected(let fault), .failed(let fault): return .again(fault, .backoff)
        case .notSent(let fault): return .again(fault, .host)
        case .outcomeUnknown(let fault): return .again(fault, .answer)
        }
    }

    /// Whether the epoch that was granted for the domain is still the VM's latest, and the VM not placed anew.
    private func isWanted(_ job: Job) async throws -> Bool {
        try await context.database.read { tx in
            guard try tx.host(job.host)?.deletedAt == nil, let granted = job.payload.grantedEpoch,
                let vm = try tx.vm(job.vm)
            else { return false }
            return vm.isAdoptable(at: Placement(host: job.host, epoch: granted))
        }
    }

    private func finish(_ job: Job, _ found: Placement) async throws -> Attempt {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("gc-adopt.finish") { tx in
            var end = JobEnd(.superseded, .superseded)
            if let vm = try tx.vm(job.vm), vm.isAdoptable(at: found) {
                var next = try vm.after(.adopted(found))
                if let pool = try tx.host(found.host)?.facts?.pool, vm.pool != nil { next.pool = pool }
                if let lost = try tx.reasonUnreachable(found.host) { next = try next.after(.hostLost(lost)) }
                let stored = try tx.replace(vm, with: next)
                try tx.leaveRelease(
                    of: stored, at: vm.latestPlacement, by: Principal(name: job.requestedBy), ids, settings)
                end = JobEnd(.succeeded, .adopted)
            }
            try tx.removeSighting(of: job.vm, on: job.host)
            try tx.end(job, underLease: job.leaseToken, as: end)
        }
        // Whether it is paused, and whether it is there still, is the host's to say.
        await context.inspect(job.host)
        return .ended
    }

    private func supersede(_ job: Job) async throws -> Attempt {
        let end = try await context.supersede(job, "gc-adopt.superseded")
        await context.inspect(job.host)
        return end
    }
}

extension VM {
    /// The placement from which the guest may have left for another host without Roost: libvirt said so, or an inventory had it
    /// no more, nobody saw how it ended, and nothing was granted since.
    fileprivate var departure: Placement? {
        switch state {
        case .unknown(let placement, .movedAway): placement
        case .stopped(.foundGone): epoch == lastPlacement?.epoch ? lastPlacement : nil
        case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .stopping, .stopped,
            .crashed, .unknown, .destroying, .destroyed, .expunging:
            nil
        }
    }

    /// Whether a domain that was found can become the VM's: nothing newer was granted, and none of its own is known.
    func isAdoptable(at found: Placement) -> Bool {
        epoch == found.epoch && operation == nil && (try? after(.adopted(found))) != nil
    }
}

extension Transaction {
    /// Leaves the taking up of a domain that was seen where none should be. Its epoch is granted here, so that whatever was
    /// decided before is stale from now on.
    @discardableResult
    func leaveAdoption(
        of vm: VM, at sighting: Sighting, by principal: Principal, _ ids: any IDSource, _ settings: ControlSettings
    ) throws -> VM {
        let key = Placement(host: sighting.host, epoch: sighting.epoch)
        let isLeft = try unfinishedJobs(of: vm.id).contains { $0.kind == .adoptVM && $0.placement == key }
        guard !isLeft else { return vm }
        var next = vm
        next.epoch = vm.epoch.next
        let stored = try replace(vm, with: next, by: principal)
        var payload = JobPayload(isDeferrable: true)
        payload.grantedEpoch = stored.epoch
        try leave(
            .fresh(.adoptVM, for: stored, at: key, payload: payload, by: principal, ids: ids, now: now), settings)
        return stored
    }

    /// Takes up the domain of a VM that libvirt moved away behind Roost's back, once a host shows it under the epoch that it
    /// left with: an epoch's domain lives only once, so it is the very same.
    func takeUp(_ id: VMID, _ ids: any IDSource, _ settings: ControlSettings) throws {
        guard try recovery().observing == nil else { return }
        guard let vm = try vm(id), let left = vm.departure else { return }
        let found = try sightings(of: id).first { $0.epoch == left.epoch && $0.host != left.host }
        guard let found else { return }
        try leaveAdoption(of: vm, at: found, by: Principal(name: "system"), ids, settings)
    }
}
