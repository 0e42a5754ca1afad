package import Domain

extension WireHostFacts {
    package init(_ facts: HostFacts) {
        self.init()
        cpus = Int64(facts.cpus)
        memory = Int64(facts.memory)
        agentVersion = facts.agentVersion
        domainType = facts.hypervisor.domainType
        domainTypeReason = facts.hypervisor.reason
        libvirtVersion = facts.hypervisor.libvirtVersion
        qemuVersion = facts.hypervisor.qemuVersion
        pool = facts.pool.rawValue
    }
}

extension HostFacts {
    package init(reading wire: WireHostFacts) throws(UnreadableMessage) {
        guard wire.cpus > 0, wire.memory > 0 else {
            throw UnreadableMessage("a host with \(wire.cpus) CPUs and \(wire.memory) MiB")
        }
        self.init(
            cpus: Int(wire.cpus), memory: Int(wire.memory), agentVersion: wire.agentVersion,
            hypervisor: HypervisorFacts(
                domainType: wire.domainType, reason: wire.domainTypeReason, libvirtVersion: wire.libvirtVersion,
                qemuVersion: wire.qemuVersion),
            pool: try readID(wire.pool, "the pool"))
    }
}

extension WireInventory {
    package init(_ inventory: Inventory) {
        self.init()
        bootID = inventory.bootID
        libvirtAnswered = inventory.libvirtAnswered
        domains = inventory.domains.map(WireObservedDomain.init)
        sequence = inventory.sequence
        busy = inventory.busy.map(\.rawValue)
    }
}

extension Inventory {
    /// Refuses the whole inventory when one domain in it cannot be read: leaving it out would tell of its absence.
    package init(reading wire: WireInventory) throws(UnreadableMessage) {
        var domains: [ObservedDomain] = []
        domains.reserveCapacity(wire.domains.count)
        for domain in wire.domains { domains.append(try ObservedDomain(reading: domain)) }
        var busy: [VMID] = []
        for vm in wire.busy { busy.append(try readID(vm, "a busy VM")) }
        self.init(
            bootID: wire.bootID, libvirtAnswered: wire.libvirtAnswered, domains: domains, busy: busy,
            sequence: wire.sequence)
    }
}

extension WireObservedDomain {
    init(_ domain: ObservedDomain) {
        self.init()
        vm = domain.vm.rawValue
        if let epoch = domain.epoch { self.epoch = epoch.rawValue }
        state = WireDomainState(domain.state)
    }
}

extension ObservedDomain {
    init(reading wire: WireObservedDomain) throws(UnreadableMessage) {
        self.init(
            vm: try readID(wire.vm, "a domain's VM"), epoch: wire.hasEpoch ? try readEpoch(wire.epoch) : nil,
            state: try DomainState(reading: wire.state))
    }
}

extension WireDomainChanged {
    package init(vm: VMID, epoch: Epoch, state: DomainState, sequence: Int64) {
        self.init()
        self.vm = vm.rawValue
        self.epoch = epoch.rawValue
        self.state = WireDomainState(state)
        self.sequence = sequence
    }

    package func read() throws(UnreadableMessage) -> (vm: VMID, epoch: Epoch, state: DomainState, sequence: Int64) {
        (try readID(vm, "a change's VM"), try readEpoch(epoch), try DomainState(reading: state), sequence)
    }
}

extension WireDomainState {
    package init(_ state: DomainState) {
        self.init()
        switch state {
        case .running: kind = .running
        case .paused: kind = .paused
        case .starting: kind = .starting
        case .moving: kind = .moving
        case .gone(let cause):
            kind = .gone
            self.cause = WireStopCause(cause)
        }
    }
}

extension DomainState {
    package init(reading wire: WireDomainState) throws(UnreadableMessage) {
        switch wire.kind {
        case .running: self = .running
        case .paused: self = .paused
        case .starting: self = .starting
        case .moving: self = .moving
        case .gone: self = .gone(try StopCause(reading: wire.cause))
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("domain state \(wire.kind.rawValue)")
        }
    }
}

extension WireStopCause {
    init(_ cause: StopCause) {
        self =
            switch cause {
            case .requested: .requested
            case .guestShutdown: .guestShutdown
            case .domainDestroyed: .domainDestroyed
            case .failed: .failed
            case .foundGone: .foundGone
            case .hostRebooted: .hostRebooted
            case .hostFenced: .hostFenced
            case .startFailed: .startFailed
            case .movedAway: .movedAway
            case .writtenOff: .writtenOff
            }
    }
}

extension StopCause {
    init(reading wire: WireStopCause) throws(UnreadableMessage) {
        switch wire {
        case .requested: self = .requested
        case .guestShutdown: self = .guestShutdown
        case .domainDestroyed: self = .domainDestroyed
        case .failed: self = .failed
        case .foundGone: self = .foundGone
        case .hostRebooted: self = .hostRebooted
        case .hostFenced: self = .hostFenced
        case .startFailed: self = .startFailed
        case .movedAway: self = .movedAway
        case .writtenOff: self = .writtenOff
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("stop cause \(wire.rawValue)")
        }
    }
}
