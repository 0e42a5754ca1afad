package import Domain

extension WireHoldings {
    package init(_ holdings: HostHoldings) {
        self.init()
        pool = holdings.pool.rawValue
        domains = holdings.domains.map(WireHeldDomain.init)
        files = holdings.files.map(WireHeldFile.init)
        epochs = holdings.epochs.sorted { $0.key < $1.key }.map { vm, epoch in
            .with {
                $0.vm = vm.rawValue
                $0.epoch = epoch.rawValue
            }
        }
    }
}

extension HostHoldings {
    /// Refuses the whole list when one thing in it cannot be read: leaving it out would tell of its absence.
    package init(reading wire: WireHoldings) throws(UnreadableMessage) {
        var domains: [HeldDomain] = []
        for domain in wire.domains { domains.append(try HeldDomain(reading: domain)) }
        var files: [HeldFile] = []
        for file in wire.files { files.append(try HeldFile(reading: file)) }
        var epochs: [VMID: Epoch] = [:]
        for seen in wire.epochs { epochs[try readID(seen.vm, "an epoch's VM")] = try readEpoch(seen.epoch) }
        self.init(pool: try readID(wire.pool, "the pool"), domains: domains, files: files, epochs: epochs)
    }
}

extension WireHeldDomain {
    fileprivate init(_ domain: HeldDomain) {
        self.init()
        seen = WireObservedDomain(domain.seen)
        name = domain.name
        cpus = Int64(domain.cpus)
        memory = Int64(domain.memory)
    }
}

extension HeldDomain {
    fileprivate init(reading wire: WireHeldDomain) throws(UnreadableMessage) {
        guard wire.cpus > 0, wire.memory > 0 else {
            throw UnreadableMessage("a domain with \(wire.cpus) CPUs and \(wire.memory) MiB")
        }
        self.init(
            seen: try ObservedDomain(reading: wire.seen), name: wire.name, cpus: Int(wire.cpus),
            memory: Int(wire.memory))
    }
}

extension WireHeldFile {
    fileprivate init(_ file: HeldFile) {
        self.init()
        vm = file.vm.rawValue
        kind =
            switch file.kind {
            case .rootDisk: .rootDisk
            case .consoleLog: .consoleLog
            }
        bytes = file.bytes
    }
}

extension HeldFile {
    fileprivate init(reading wire: WireHeldFile) throws(UnreadableMessage) {
        let kind: Kind
        switch wire.kind {
        case .rootDisk: kind = .rootDisk
        case .consoleLog: kind = .consoleLog
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("file kind \(wire.kind.rawValue)")
        }
        guard wire.bytes >= 0 else { throw UnreadableMessage("a file of \(wire.bytes) bytes") }
        self.init(vm: try readID(wire.vm, "a file's VM"), kind: kind, bytes: wire.bytes)
    }
}
