package import Domain

/// The record that is to be made of an orphan.
package struct Adoption: Sendable {
    package let name: String
    /// The image's id or name: what its root disk lies over, or what it boots from.
    package let image: String
    /// For a disk, which does not say; a domain does.
    package let cpus: Int?
    package let memory: Int?  // MiB

    package init(name: String, image: String, cpus: Int? = nil, memory: Int? = nil) {
        self.name = name
        self.image = image
        self.cpus = cpus
        self.memory = memory
    }
}

extension HostService {
    /// What lies on the host and belongs to no record. Asks the agent; changes nothing.
    package func orphans(on reference: String) async throws -> [Orphan] {
        let host = try await context.database.read { tx in try tx.resolveHost(reference) }
        let holdings = try await holdings(of: host)
        return try await context.database.read { tx in try tx.orphans(in: holdings, on: host.id) }
    }

    /// Leaves the removal of a VM's orphans on the host to a GC job, and returns it: of a live domain a stop, and once there is
    /// none the destruction of its files.
    ///
    /// Refused while a record or another job owns them, unless `epoch` is the orphan's, and, for files, while a domain of
    /// the VM may run on another host that shares the pool.
    package func removeOrphan(
        _ reference: String, of orphan: String, epoch: Epoch, by caller: Caller
    ) async throws -> Job {
        let earlier = try await context.database.read { tx in
            try tx.remembered(caller).map { try tx.resolveJob($0, .gc) }
        }
        if let earlier { return earlier }
        let (host, vm) = try await context.database.read { tx in
            (try tx.resolveHost(reference), try VMID.ofOrphan(orphan))
        }
        let holdings = try await holdings(of: host)
        let (ids, settings) = (context.ids, context.settings)
        return try await context.database.write("orphan.remove") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .gc) }
            let host = try tx.resolveHost(host.id.rawValue)
            let find = try tx.find(vm, in: holdings, on: host)
            let removal = try tx.removal(of: find, holdings, from: host)
            guard removal.epoch == epoch else {
                throw Fault(
                    .conflict, .staleEpoch, "The orphan of VM \(vm) has epoch \(removal.epoch), not \(epoch).",
                    hint: "Look again: roost host orphans \(host.name).")
            }
            let job = try tx.leave(
                .orphan(removal, on: host.id, by: caller.principal, ids: ids, now: tx.now), settings)
            try tx.append(
                Event(
                    kind: "host.orphan", vm: vm, host: host.id, job: job.id, epoch: epoch,
                    message:
                        "The \(removal.what) of VM \(vm) with epoch \(epoch) on host \(host.name) is to be removed.",
                    principal: caller.principal.name))
            try tx.remember(caller, resource: job.id.rawValue)
            return job
        }
    }

    /// Makes a record of a VM of which there is none: running where its domain runs, or stopped with the disk that lies there.
    /// It keeps its id, and its epoch is the highest that was seen of it.
    package func adopt(
        _ reference: String, _ orphan: String, as adoption: Adoption, by caller: Caller
    ) async throws -> VMView {
        let name = try Name.checked(adoption.name)
        let (host, vm, isCaredFor) = try await context.database.read { tx in
            let vm = try VMID.ofOrphan(orphan)
            return (
                try tx.resolveHost(reference), vm, try tx.vm(vm) != nil || !tx.unfinishedJobs(of: vm).isEmpty
            )
        }
        if let earlier = try await context.database.read({ tx in
            try tx.remembered(caller).map { try tx.view(of: tx.resolveVM($0)) }
        }) {
            return earlier
        }
        let holdings = try await holdings(of: host)
        await context.faults.reach("orphan.before-adopt")
        let adopted = try await context.database.write("orphan.adopt") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveVM(earlier) }
            let host = try tx.resolveHost(host.id.rawValue)
            let find = try tx.find(vm, in: holdings, on: host)
            let record = try tx.record(of: find, holdings, on: host, named: name, as: adoption)
            // A record or a job that has ended since may have taken along what the host listed.
            guard !isCaredFor else { throw Fault.outdated(vm, host) }
            try tx.insert(record)
            try tx.removeSighting(of: vm, on: host.id)
            try tx.append(
                Event(
                    kind: "vm.adopted", vm: vm, host: host.id, epoch: record.epoch,
                    message: "VM \(name) is adopted on host \(host.name): \(record.state.sentence).",
                    principal: caller.principal.name))
            try tx.remember(caller, resource: vm.rawValue)
            return record
        }
        // The domain may have ended since it was listed, when nobody had a record to note it in.
        await context.inspect(host.id)
        return try await context.database.read { tx in try tx.view(of: tx.resolveVM(adopted.id.rawValue)) }
    }

    private func holdings(of host: Host) async throws -> HostHoldings {
        try await context.sessions.holdings(of: host.id, limit: context.settings.inventoryLimit)
    }
}

/// What is to be removed of an orphan first.
private struct Removal {
    let kind: JobKind
    let vm: VMID
    let epoch: Epoch

    var what: String { kind == .stopVM ? "domain" : "files" }
}

/// All orphans of one VM on a host; never empty.
private struct OrphanFind {
    let vm: VMID
    let orphans: [Orphan]
    /// Its live domain, whether an orphan or not.
    let domain: HeldDomain?
}

extension VMID {
    fileprivate static func ofOrphan(_ text: String) throws(Fault) -> VMID {
        guard let vm = VMID(text) else {
            throw Fault(
                .notFound, .notFound, "There is no orphan '\(text.prefix(64))'.",
                hint: "An orphan is addressed by its VM's id, as roost host orphans HOST shows it.")
        }
        return vm
    }
}

extension Job {
    fileprivate static func orphan(
        _ removal: Removal, on host: HostID, by principal: Principal, ids: any IDSource, now: Timestamp
    ) -> Job {
        let isStop = removal.kind == .stopVM
        return Job(
            id: JobID(from: ids), kind: removal.kind, vm: removal.vm, host: host, epoch: removal.epoch,
            payload: JobPayload(
                mode: isStop ? .cold : nil, timeout: isStop ? 0 : nil, isDeferrable: true,
                removesDisk: isStop ? nil : true, command: CommandID(from: ids)),
            wish: 0, nextAttemptAt: now, requestedBy: principal.name, createdAt: now, updatedAt: now)
    }
}

extension Transaction {
    fileprivate func orphans(in holdings: HostHoldings, on host: HostID) throws -> [Orphan] {
        var records: [VMID: VM] = [:]
        for vm in Set(holdings.domains.map(\.seen.vm) + holdings.files.map(\.vm)) { records[vm] = try self.vm(vm) }
        return OrphanAudit.orphans(in: holdings, on: host, records: records, jobs: try unfinishedJobs(on: host))
    }

    /// The orphans of `vm`; throws when there are none, and says whose it is.
    fileprivate func find(_ vm: VMID, in holdings: HostHoldings, on host: Host) throws -> OrphanFind {
        let orphans = try orphans(in: holdings, on: host.id).filter { $0.vm == vm }
        let domain = holdings.domains.first { $0.seen.vm == vm && $0.seen.state.isLive }
        guard orphans.isEmpty else { return OrphanFind(vm: vm, orphans: orphans, domain: domain) }
        guard domain != nil || holdings.files.contains(where: { $0.vm == vm }) else {
            throw Fault.notFound("orphan on host \(host.name) of VM", vm.rawValue)
        }
        if let job = try unfinishedJobs(of: vm).first(where: { $0.host == host.id && $0.kind.purpose == .gc }) {
            throw Fault(
                .conflict, .operationInProgress, "GC job \(job.id) is to remove what lies of VM \(vm) there.",
                hint: "See roost gc explain \(job.id).")
        }
        throw Fault(
            .conflict, .invalidState, "What lies there belongs to VM \(try self.vm(vm)?.name ?? vm.rawValue).",
            hint: "See roost vm show \(vm).")
    }

    /// What goes first: a domain, then the files.
    fileprivate func removal(of find: OrphanFind, _ holdings: HostHoldings, from host: Host) throws -> Removal {
        if let orphan = find.orphans.first(where: { $0.kind == .domain }) {
            guard let epoch = orphan.epoch else { throw Fault.unreadable(find.vm) }
            return Removal(kind: .stopVM, vm: find.vm, epoch: epoch)
        }
        if let domain = find.domain {
            throw Fault(
                .conflict, .invalidState, "The domain \(domain.name) of the VM still runs there.",
                hint: "Its files can be removed once it is gone: roost gc list --host \(host.name).")
        }
        try checkRunsNowhere(find.vm, beside: host, in: holdings.pool)
        return Removal(kind: .deleteVolume, vm: find.vm, epoch: holdings.epochs[find.vm] ?? .none)
    }

    /// The record to be made of what was found; throws when there is one, or when what lies there does not make a VM.
    fileprivate func record(
        of find: OrphanFind, _ holdings: HostHoldings, on host: Host, named name: String, as adoption: Adoption
    ) throws -> VM {
        if let owner = try vm(find.vm) {
            throw Fault(
                .conflict, .invalidState,
                "There is a record of the VM already: \(owner.name), \(owner.state.sentence).",
                hint: "Its leftovers can be removed: roost host orphans remove \(host.name) \(find.vm) --epoch N.")
        }
        if let job = try unfinishedJobs(of: find.vm).first {
            throw Fault(
                .conflict, .operationInProgress, "GC job \(job.id) is to remove what is left of the VM.",
                hint: "Cancel it first: roost gc delete \(job.id).")
        }
        let image = try resolveImage(adoption.image)
        let hasDisk = holdings.files.contains { $0.vm == find.vm && $0.kind == .rootDisk }
        guard (image.kind == .disk) == hasDisk else {
            throw Fault.invalid(
                "image", "is of kind '\(image.kind.rawValue)', and the VM has \(hasDisk ? "a" : "no") root disk there.",
                hint: "Name the image that the VM was made from.")
        }
        let size = try size(of: find, adoption)
        let seen = try sightings(of: find.vm)
        let highest = (seen.map(\.epoch) + [holdings.epochs[find.vm], find.domain?.seen.epoch].compactMap { $0 }).max()
        var state: VMState
        if let domain = find.domain {
            guard let epoch = domain.seen.epoch else { throw Fault.unreadable(find.vm) }
            try checkSeenNowhere(find.vm, beside: host)
            let placement = Placement(host: host.id, epoch: epoch)
            switch domain.seen.state {
            case .running: state = .running(placement)
            case .paused: state = .paused(placement)
            case .starting:
                throw Fault(
                    .conflict, .invalidState, "libvirt has not finished the start of the domain \(domain.name).",
                    hint: "Adopt it once virsh shows it running. If it stays so, restart libvirtd on the host.")
            case .moving:
                throw Fault(
                    .conflict, .invalidState, "The domain \(domain.name) is on its way from or to another host.",
                    hint: "Adopt it where it has arrived.")
            case .gone(let cause): state = .stopped(cause)
            }
            // The host may have been lost since it told this.
            if let lost = try reasonUnreachable(host.id) { state = try state.after(.hostLost(lost)) }
        } else {
            try checkRunsNowhere(find.vm, beside: host, in: holdings.pool)
            state = .stopped(.foundGone)
        }
        return VM(
            id: find.vm, name: name, image: image.id, cpus: size.cpus, memory: size.memory, state: state,
            epoch: max(highest ?? .none, try lowestEpoch(isSeen: state.placement != nil)),
            lastPlacement: Placement(host: host.id, epoch: state.placement?.epoch ?? highest ?? .none),
            pool: hasDisk ? holdings.pool : nil,
            domainSeen: find.domain != nil, createdAt: now, updatedAt: now)
    }

    private func size(of find: OrphanFind, _ adoption: Adoption) throws -> Allocation {
        if let domain = find.domain {
            for (field, value) in [("cpus", adoption.cpus), ("memory", adoption.memory)] where value != nil {
                throw Fault.invalid(field, "is what the running domain has.", hint: "Leave it out.")
            }
            return Allocation(cpus: domain.cpus, memory: domain.memory)
        }
        guard find.orphans.contains(where: { $0.kind == .rootDisk }) else {
            throw Fault(
                .conflict, .invalidState, "Only a console log is left of the VM: there is nothing to adopt.",
                hint: "Remove it.")
        }
        guard let cpus = adoption.cpus else {
            throw Fault.invalid("cpus", "is required for a disk, which does not say it.")
        }
        guard let memory = adoption.memory else {
            throw Fault.invalid("memory", "is required for a disk, which does not say it.")
        }
        try VMService.check(cpus: cpus, memory: memory)
        return Allocation(cpus: cpus, memory: memory)
    }

    /// Throws while a domain of `vm` may run on a host other than `host`. Where no record says so, every host that shares the
    /// pool has to be seen, or proven off.
    private func checkRunsNowhere(_ vm: VMID, beside host: Host, in pool: PoolID) throws {
        try checkSeenNowhere(vm, beside: host)
        for other in try allHosts() where other.id != host.id && other.facts?.pool == pool {
            let isOff = other.connection == .disconnected && other.fencedAt ?? .never >= other.lastSeenAt ?? .never
            guard try reasonUnreachable(other.id) != nil, !isOff else { continue }
            throw Fault(
                .conflict, .placementUnresolved,
                "Host \(other.name) shares the pool and cannot be asked whether VM \(vm) runs there.",
                hint: "Try again when it answers, or prove that it is off: roost host fence \(other.name) --proof TEXT."
            )
        }
    }

    private func checkSeenNowhere(_ vm: VMID, beside host: Host) throws {
        guard let seen = try sightings(of: vm).first(where: { $0.host != host.id }) else { return }
        let other = try hostName(seen.host)
        throw Fault(
            .conflict, .placementUnresolved, "A domain of VM \(vm) with epoch \(seen.epoch) runs on host \(other).",
            hint: "See roost host orphans \(other).")
    }
}

extension Timestamp {
    fileprivate static let never = Timestamp(milliseconds: .min)
}

extension Fault {
    fileprivate static func outdated(_ vm: VMID, _ host: Host) -> Fault {
        Fault(
            .conflict, .operationInProgress,
            "What lay of VM \(vm) on host \(host.name) was being removed while the host was asked.",
            hint: "Look again: roost host orphans \(host.name).")
    }

    fileprivate static func unreadable(_ vm: VMID) -> Fault {
        Fault(
            .conflict, .epochConflict, "The domain of VM \(vm) has no readable epoch, so nothing may touch it.",
            hint: "Look at its metadata with virsh dumpxml on the host, and end it by hand if it is not wanted.")
    }
}
