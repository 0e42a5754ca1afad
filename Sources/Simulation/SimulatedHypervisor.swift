import Domain
import HostAgent

/// libvirt on a machine, as an agent's process sees it: it takes its time, fails now and then, and may be down.
struct SimulatedHypervisor: Hypervisor {
    let machine: Machine
    let world: MachineTable
    let time: SimulatedTime
    let defect: World.Defect?

    private var scheduler: Scheduler { machine.scheduler }

    /// What a call to libvirt costs; it fails if libvirt is down when it begins or ends.
    private func pass(_ range: ClosedRange<Int> = 1...40) async throws(HypervisorError) {
        try checkUp()
        do { try await time.sleep(for: scheduler.milliseconds(range)) } catch { throw .unreachable("given up") }
        try checkUp()
    }

    private func checkUp() throws(HypervisorError) {
        guard machine.with({ $0.isLibvirtUp && !$0.isOff }) else { throw .unreachable("libvirt does not answer") }
    }

    private func guest(_ vm: VMID) throws(HypervisorError) -> Machine.Guest {
        guard let guest = machine.with({ $0.guests[vm] }) else { throw .noDomain }
        return guest
    }

    func facts() async throws(HypervisorError) -> HypervisorFacts {
        try await pass()
        return HypervisorFacts(domainType: "qemu", reason: "simulated", libvirtVersion: "9.0", qemuVersion: "7.2")
    }

    func capacity() async throws(HypervisorError) -> (cpus: Int, memory: Int) {
        try await pass()
        return (16, 32_768)
    }

    /// Whether it is down, and says that there is nothing instead.
    private var denies: Bool { defect == .absentWhenDown && machine.with { !$0.isLibvirtUp } }

    func domains() async throws(HypervisorError) -> [ObservedDomain] {
        if denies { return [] }
        try await pass(1...120)
        return machine.guests.sorted { $0.key < $1.key }.map {
            ObservedDomain(vm: $0.key, epoch: $0.value.epoch, state: $0.value.state)
        }
    }

    func heldDomains() async throws(HypervisorError) -> [HeldDomain] {
        try await domains().map { HeldDomain(seen: $0, name: $0.vm.short, cpus: 1, memory: 64) }
    }

    func domain(of vm: VMID) async throws(HypervisorError) -> ObservedDomain? {
        if denies { return nil }
        try await pass()
        return machine.with { $0.guests[vm] }.map { ObservedDomain(vm: vm, epoch: $0.epoch, state: $0.state) }
    }

    func start(_ spec: DomainSpec) async throws(HypervisorError) {
        if scheduler.oneIn(3) { world.spring(at: machine) }
        try await pass(20...400)
        guard machine.with({ $0.guests[spec.vm] == nil }) else { throw .failed("domain exists already") }
        if scheduler.oneIn(50) { throw .failed("no memory left") }
        machine.change(spec.vm, to: Machine.Guest(epoch: spec.epoch, state: .running))
        machine.with { _ = $0.files[spec.vm, default: []].insert(.consoleLog) }
        // What it answers may come after libvirt is gone.
        try await pass(1...20)
    }

    func pressPowerButton(of vm: VMID) async throws(HypervisorError) {
        try await pass()
        let asked = try guest(vm)
        guard asked.state == .running, !scheduler.oneIn(4) else { return }
        scheduler.after(scheduler.milliseconds(100...4000)) { [machine] in
            guard machine.with({ $0.guests[vm] }) == asked else { return }
            machine.change(vm, to: nil, because: .guestShutdown)
        }
    }

    func control(_ control: GuestControl, of vm: VMID) async throws(HypervisorError) {
        try await pass()
        var next = try guest(vm)
        switch control {
        case .pause: next.state = .paused
        case .resume: next.state = .running
        case .reset: return
        case .reboot:
            scheduler.after(scheduler.milliseconds(100...3000)) { [machine] in
                machine.with { $0.events }?.yield(.rebooted(vm))
            }
            return
        }
        guard next != (try guest(vm)) else { return }
        machine.change(vm, to: next)
    }

    func setEpoch(_ epoch: Epoch, of vm: VMID) async throws(HypervisorError) {
        try await pass()
        var next = try guest(vm)
        next.epoch = epoch
        machine.change(vm, to: next)
    }

    func cutPower(of vm: VMID) async throws(HypervisorError) {
        if scheduler.oneIn(3) { world.spring(at: machine) }
        try await pass(5...200)
        _ = try guest(vm)
        machine.change(vm, to: nil, because: .domainDestroyed)
        try await pass(1...20)
    }

    func process(of vm: VMID) async throws(HypervisorError) -> (any GuestProcess)? {
        machine.with { $0.guests[vm] }.map { SimulatedProcess(machine: machine, vm: vm, guest: $0) }
    }

    private struct SimulatedProcess: GuestProcess {
        let machine: Machine
        let vm: VMID
        let guest: Machine.Guest

        func kill() async throws(HypervisorError) {
            guard machine.with({ $0.guests[vm]?.epoch == guest.epoch }) else { return }
            machine.change(vm, to: nil, because: .failed)
        }
    }

    func events() -> AsyncStream<HypervisorEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: HypervisorEvent.self)
        machine.with { life in
            life.events = continuation
            if life.isLibvirtUp { continuation.yield(.connected) }
        }
        return stream
    }

    // MARK: Moves

    func migrationProgress(of vm: VMID) async throws(HypervisorError) -> MigrationProgress? {
        try await pass()
        guard machine.with({ $0.guests[vm]?.move != nil }) else { return nil }
        return MigrationProgress(processed: 1, total: 2, remaining: 1)
    }

    func cancelMigration(of vm: VMID) async throws(HypervisorError) {
        try await pass()
        machine.with { life in if life.guests[vm]?.move != nil { _ = life.cancelledMoves.insert(vm) } }
    }

    func beginPostCopy(of vm: VMID) async throws(HypervisorError) { try await pass() }

    /// libvirt moves the guest peer to peer. It is libvirt's doing, and goes on to some end also when the agent dies.
    func migrate(_ migration: DomainMigration) async throws(HypervisorError) {
        try await pass()
        let vm = migration.vm
        guard let destination = world.machine(migration.landing.address) else { throw .failed("no such host") }
        let leaving = try guest(vm)
        let tunnel = Tunnel(source: machine, destination: destination)
        machine.with { life in
            life.guests[vm]?.move = .leaving
            life.cancelledMoves.remove(vm)
        }
        defer { machine.with { $0.guests[vm]?.move = nil } }
        let wait = { (range: ClosedRange<Int>) async in
            (try? await time.sleep(for: scheduler.milliseconds(range))) != nil
        }
        guard await wait(50...300), tunnel.isOpen, destination.with({ $0.isLibvirtUp && $0.guests[vm] == nil }) else {
            throw .failed("the destination does not take it")
        }
        destination.change(vm, to: Machine.Guest(epoch: migration.arrivalEpoch, state: .moving, move: .arriving))
        let isCopied = await wait(300...4000)
        let isCancelled = machine.with { $0.cancelledMoves.remove(vm) != nil }
        guard isCopied, !isCancelled, tunnel.isOpen, machine.with({ $0.guests[vm]?.epoch == leaving.epoch }),
            machine.with({ $0.isLibvirtUp }), destination.with({ $0.isLibvirtUp && $0.guests[vm]?.move == .arriving })
        else {
            if destination.with({ $0.guests[vm]?.epoch == migration.arrivalEpoch }) {
                destination.change(vm, to: nil, because: .failed)
            }
            throw .failed("the move was broken off")
        }
        // The turn: the source's CPUs are halted, and the destination has the whole guest.
        let wasRunning = machine.with { $0.guests[vm]?.state == .running }
        if wasRunning { machine.change(vm, to: Machine.Guest(epoch: leaving.epoch, state: .moving, move: .leaving)) }
        world.spring(at: scheduler.oneIn(2) ? machine : destination)
        _ = await wait(5...80)
        let hasArrived = destination.with { $0.isLibvirtUp && $0.guests[vm]?.move == .arriving }
        if hasArrived {
            let goesOn = migration.turnsToPostCopy || defect == .arrivesRunning
            let arrives: DomainState = goesOn && wasRunning ? .running : .paused
            destination.change(vm, to: Machine.Guest(epoch: migration.arrivalEpoch, state: arrives))
        }
        _ = await wait(1...20)
        guard machine.with({ $0.isLibvirtUp && $0.guests[vm]?.epoch == leaving.epoch }) else {
            throw .unreachable("libvirt died in the move")
        }
        // What libvirt does when it does not hear that the guest has arrived: it lets it go on here.
        guard hasArrived, tunnel.isOpen, destination.with({ $0.isLibvirtUp && $0.guests[vm] != nil }) else {
            if wasRunning { machine.change(vm, to: leaving) }
            throw .failed("the connection to the destination ended")
        }
        machine.change(vm, to: nil, because: .movedAway)
    }
}

/// What a move goes through: both agents' processes and both networks, as they were when it began.
private struct Tunnel {
    let source: Machine
    let destination: Machine
    private let agents: [Process]

    init(source: Machine, destination: Machine) {
        self.source = source
        self.destination = destination
        agents = [source.agent, destination.agent]
    }

    var isOpen: Bool {
        source.isReachable && destination.isReachable && agents.allSatisfy { !$0.isDead }
    }
}
