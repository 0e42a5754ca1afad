package import Domain

/// Something of Roost's on a host that no record owns. It is shown, and nothing is done to it without being asked for.
package struct Orphan: Hashable, Sendable {
    package let kind: Kind
    package let vm: VMID
    /// What its removal has to name: a domain's own epoch, and for files the highest that the host has seen of the VM. nil:
    /// the domain's cannot be read, and nothing may touch it.
    package let epoch: Epoch?
    /// For a domain.
    package let domain: HeldDomain?
    /// For files.
    package let bytes: Int64?
    package let reason: Reason

    package enum Kind: String, CaseIterable, Sendable {
        case domain
        case rootDisk = "root-disk"
        case consoleLog = "console-log"

        init(_ kind: HeldFile.Kind) {
            self =
                switch kind {
                case .rootDisk: .rootDisk
                case .consoleLog: .consoleLog
                }
        }
    }

    package enum Reason: String, CaseIterable, Sendable {
        /// There is no record of the VM.
        case noRecord = "no-record"
        /// The VM's placement is another, or it has none.
        case placedElsewhere = "placed-elsewhere"
        /// The VM's root disk is in another pool.
        case diskElsewhere = "disk-elsewhere"

        /// In words.
        package var sentence: String {
            switch self {
            case .noRecord: "There is no record of the VM."
            case .placedElsewhere: "The VM's record does not place it there with this epoch."
            case .diskElsewhere: "The VM's record says that its disk is in another pool."
            }
        }
    }
}

/// Decides what of a host's holdings is an orphan. Pure.
package enum OrphanAudit {
    /// The orphans among `holdings` of `host`, in order of VM and kind.
    ///
    /// - Parameters:
    ///   - records: the VMs that `holdings` name, as far as there are records of them.
    ///   - jobs: the host's GC jobs that have not ended; what one of them is about is in its care.
    package static func orphans(
        in holdings: HostHoldings, on host: HostID, records: [VMID: VM], jobs: [Job]
    ) -> [Orphan] {
        let domains = holdings.domains.compactMap { held -> Orphan? in
            let seen = held.seen
            guard let reason = reason(seen, on: host, records[seen.vm], jobs) else { return nil }
            return Orphan(kind: .domain, vm: seen.vm, epoch: seen.epoch, domain: held, bytes: nil, reason: reason)
        }
        let files = holdings.files.compactMap { file -> Orphan? in
            let isCaredFor = jobs.contains { $0.isToRemoveFiles && $0.vm == file.vm && $0.host == host }
            guard !isCaredFor, let reason = reason(records[file.vm], holdings.pool, host) else { return nil }
            return Orphan(
                kind: Orphan.Kind(file.kind), vm: file.vm, epoch: holdings.epochs[file.vm] ?? .none, domain: nil,
                bytes: file.bytes, reason: reason)
        }
        let order = Orphan.Kind.allCases
        return (domains + files).sorted { left, right in
            guard left.vm == right.vm else { return left.vm < right.vm }
            return order.firstIndex(of: left.kind) ?? 0 < order.firstIndex(of: right.kind) ?? 0
        }
    }

    /// Why a domain is an orphan; nil if it is none.
    private static func reason(_ seen: ObservedDomain, on host: HostID, _ vm: VM?, _ jobs: [Job]) -> Orphan.Reason? {
        guard seen.state.isLive else { return nil }
        let isCaredFor = jobs.contains {
            $0.kind.isAboutDomain && $0.vm == seen.vm && $0.host == host && $0.epoch == seen.epoch
        }
        guard !isCaredFor else { return nil }
        guard let vm else { return .noRecord }
        guard let placement = vm.state.placement(on: host) else { return .placedElsewhere }
        // One whose epoch cannot be read may be the placement's own.
        return seen.epoch == nil || seen.epoch == placement.epoch ? nil : .placedElsewhere
    }

    /// Why files of a VM are orphans; nil if they are none.
    private static func reason(_ vm: VM?, _ pool: PoolID, _ host: HostID) -> Orphan.Reason? {
        guard let vm else { return .noRecord }
        return vm.ownsFiles(in: pool, on: host) ? nil : .diskElsewhere
    }
}

extension Job {
    /// Whether it is a GC job that removes what its VM has left on its host.
    fileprivate var isToRemoveFiles: Bool {
        switch kind {
        case .deleteVolume: true
        case .destroyVM: removesDisk
        case .stopVM, .adoptVM, .releasePlacement, .startOperation, .stopOperation, .pauseOperation, .resumeOperation,
            .resetOperation,
            .rebootOperation, .migrateOperation, .destroyOperation, .recoverOperation, .expungeOperation,
            .maintainOperation, .unknownOperation, .unknownGC:
            false
        }
    }
}

extension VM {
    /// Whether the record owns what lies of the VM on `host`, whose pool is `hostPool`. A host on which it is placed holds its
    /// files, whatever is recorded of pools.
    func ownsFiles(in hostPool: PoolID?, on host: HostID) -> Bool {
        guard let pool, state.placement(on: host) == nil else { return true }
        return pool == hostPool
    }
}
