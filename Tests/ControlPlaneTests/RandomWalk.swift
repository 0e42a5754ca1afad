import ControlPlane
import Domain
import Synchronization
import Testing

/// A few VMs on two hosts, under random wishes and faults.
///
/// The fault model: a host's network goes and comes back; commands and answers are lost; an agent is slow with a command,
/// also across sessions; libvirt stops answering, announced or not; a guest ends, seen or unseen; a host boots again; an
/// agent or the server dies and starts again; an inventory is told late; an operator fences a host that is off, or one that
/// is not; a destroyed VM's time is over, or it is recovered or expunged before. The seed fixes the choices; the job engine runs beside them in real time.
final class RandomWalk {
    let rig: Rig
    let seed: UInt64
    private(set) var trail: [String] = []
    private var random: SplitMix
    private let isCalm = Flag()
    private var engine: Task<Void, any Error>?
    private var store: MortalDatabase
    private var vms: [VMID] = []
    /// Domains that may run though their placement was given up: an operator said falsely that their host was off.
    private var lingering: Set<Sight> = []
    /// What no job pursues any more, because a hand cancelled it.
    private var calledOff: Set<Sight> = []
    private var lateInventories: [(host: HostID, session: Int64, inventory: Inventory)] = []

    private static let names = ["v0", "v1", "v2"]
    private static let hosts = [rigHostA, rigHostB]
    private let caller = Rig.operatorCaller

    struct Sight: Hashable {
        let vm: VMID
        let host: HostID
        let epoch: Epoch
    }

    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    init(seed: UInt64) async throws {
        rig = try await Rig(tuning: {
            $0.resendLimit = .milliseconds(30)
            $0.inventoryLimit = .milliseconds(500)
            $0.keepDestroyed = [.zero, .milliseconds(20), .seconds(3600)][Int(seed % 3)]
        })
        self.seed = seed
        random = SplitMix(state: seed)
        store = MortalDatabase(rig.database)
        let fates = Mutex(SplitMix(state: ~seed))
        rig.hosts.decideFate { [isCalm] _ in
            if isCalm.isSet { return .deliver }
            return switch fates.withLock({ $0.below(20) }) {
            case 0, 1: .loseAnswer
            case 2: .loseCommand
            case 3, 4: .slow
            default: .deliver
            }
        }
    }

    /// Walks `steps` steps, then lets every host come back and looks whether everything settles.
    func run(steps: Int) async throws {
        startServer()
        defer { engine?.cancel() }
        for host in Self.hosts { try await rig.connect(host) }
        for _ in 0..<steps {
            try await step()
            try await check()
            if random.below(3) == 0 { try await Task.sleep(for: .microseconds(random.microseconds())) }
        }
        try await calmDown()
        try await expectSettled()
    }

    private func fail(_ what: String) -> Broken {
        Broken(description: "\(what); trail: \(trail.joined(separator: ", "))")
    }

    // MARK: Steps

    private func step() async throws {
        let name = Self.names[random.below(Self.names.count)]
        let host = Self.hosts[random.below(2)]
        let what = random.below(100)
        trail.append("\(what) \(name) \(host == rigHostA ? "a" : "b")")
        switch what {
        case 0..<22: try await start(name, on: host)
        case 22..<38: try await stop(name)
        case 38..<45: try await destroy(name)
        case 45..<51: try await cut(host)
        case 51..<66: try await connect(host)
        case 66..<70: try await libvirt(host, answers: false)
        case 70..<76: try await libvirt(host, answers: true)
        case 76..<80: try await endGuest(on: host)
        case 80..<84: rig.hosts.runSlow(on: host)
        case 84..<86: try await restartServer()
        case 86..<88: try await restartAgent(host, isReboot: random.below(2) == 0)
        case 88..<91: try await fence(host)
        case 91..<93: try await touchGCJob()
        case 93..<95: try await Retention(rig.context).sweep()
        case 95..<98: try await recoverOrExpunge()
        default: try await tellInventory(host)
        }
    }

    /// What a user asks for may be refused, and is then as if it had not been asked for.
    private func ask(_ body: () async throws -> Void) async throws {
        do { try await body() } catch is Fault {}
    }

    private func start(_ name: String, on host: HostID) async throws {
        try await ask {
            if try await rig.database.read({ try $0.vm(named: name) }) == nil {
                let new = NewVM(name: name, image: "tiny", cpus: 1, memory: 128)
                vms.append(try await rig.vms.create(new, by: caller).vm.id)
            }
            _ = try await rig.vms.start(name, on: random.below(3) == 0 ? nil : host.rawValue, by: caller)
        }
    }

    private func stop(_ name: String) async throws {
        let mode = StopMode.allCases[random.below(3)]
        let request = StopRequest(mode: mode, timeout: 0, isDeferrable: random.below(3) > 0)
        try await ask { _ = try await rig.vms.stop(name, request, by: caller) }
    }

    private func destroy(_ name: String) async throws {
        let isDeferrable = random.below(3) > 0
        let expunges = random.below(4) == 0
        try await ask {
            _ = try await rig.vms.destroy(name, isDeferrable: isDeferrable, expunges: expunges, by: caller)
        }
    }

    /// Any VM that ever was may be meant: most are refused.
    private func recoverOrExpunge() async throws {
        guard !vms.isEmpty else { return }
        let vm = vms[random.below(vms.count)].rawValue
        let isRecovery = random.below(3) > 0
        try await ask {
            if isRecovery {
                _ = try await rig.vms.recover(vm, by: caller)
            } else {
                _ = try await rig.vms.expunge(vm, by: caller)
            }
        }
    }

    private func cut(_ host: HostID) async throws {
        if rig.hosts.host(host).isConnected { try await rig.cut(host) }
    }

    private func connect(_ host: HostID) async throws {
        try await cut(host)
        try await rig.connect(host)
    }

    private func libvirt(_ host: HostID, answers: Bool) async throws {
        rig.hosts.change(host) { $0.libvirtAnswers = answers }
        let now = rig.hosts.host(host)
        guard now.isConnected else { return }
        if answers {
            try await rig.sessions.received(rig.hosts.inventory(host), from: host, session: now.session)
        } else if random.below(3) > 0 {
            try await rig.sessions.lostSight(of: host, session: now.session)
        }
    }

    private func endGuest(on host: HostID) async throws {
        var ended: DomainChange?
        rig.hosts.change(host) { record in
            guard let (vm, epoch) = record.domains.min(by: { $0.key < $1.key }) else { return }
            record.domains[vm] = nil
            record.sequence += 1
            ended = DomainChange(vm: vm, epoch: epoch, state: .gone(.guestShutdown), sequence: record.sequence)
        }
        let now = rig.hosts.host(host)
        guard let ended, now.isConnected, now.libvirtAnswers, random.below(2) == 0 else { return }
        try await rig.sessions.received(ended, from: host, session: now.session)
    }

    private func restartAgent(_ host: HostID, isReboot: Bool) async throws {
        let boot = "boot-\(random.below(1_000_000_000))"
        rig.hosts.change(host) {
            $0.isConnected = false
            $0.slow = []
            $0.sequence = 0
            guard isReboot else { return }
            $0.bootID = boot
            $0.domains = [:]
        }
        try await cut(host)
        try await rig.sessions.closed(host, session: rig.hosts.host(host).session, reason: "walk")
    }

    private func startServer() {
        store = MortalDatabase(rig.database)
        let context = rig.context.replacing(database: store)
        engine = Task { try await JobEngine(context).run() }
    }

    /// The server dies in the middle of whatever it does, or stops in order, and another takes over.
    private func restartServer() async throws {
        if random.below(2) == 0 { store.kill() }
        engine?.cancel()
        _ = await engine?.result
        for host in Self.hosts { rig.hosts.change(host) { $0.isConnected = false } }
        try await rig.forgetSessions()
        startServer()
    }

    /// An operator fences a host: one that is off, or, wrongly, one whose network is gone.
    private func fence(_ host: HostID) async throws {
        guard !rig.hosts.host(host).isConnected else { return }
        if random.below(2) == 0 {
            rig.hosts.change(host) {
                $0.domains = [:]
                $0.slow = []
            }
        }
        let now = rig.hosts.host(host)
        for (vm, epoch) in now.domains { lingering.insert(Sight(vm: vm, host: host, epoch: epoch)) }
        for slow in now.slow {
            lingering.insert(Sight(vm: slow.command.vm, host: host, epoch: slow.command.epoch))
        }
        try await ask { _ = try await rig.hostService.fence(host.rawValue, proof: "walk", by: caller) }
    }

    private func touchGCJob() async throws {
        let jobs = try await rig.gcJobs().filter { !$0.state.isEnded }
        guard !jobs.isEmpty else { return }
        let job = jobs[random.below(jobs.count)]
        let isTrigger = random.below(3) > 0
        try await ask {
            if isTrigger {
                _ = try await rig.jobs.trigger(job.id.rawValue, by: caller)
            } else {
                _ = try await rig.jobs.cancelGCJob(job.id.rawValue, by: caller)
                calledOff.insert(Sight(vm: job.vm, host: job.host, epoch: job.epoch))
            }
        }
    }

    /// Collects an inventory and tells it at once or later; one that comes after its session counts for nothing.
    private func tellInventory(_ host: HostID) async throws {
        let now = rig.hosts.host(host)
        if now.isConnected { lateInventories.append((host, now.session, rig.hosts.inventory(host))) }
        guard random.below(2) == 0, !lateInventories.isEmpty else { return }
        let told = lateInventories.remove(at: random.below(lateInventories.count))
        try await ask { try await rig.sessions.received(told.inventory, from: told.host, session: told.session) }
    }

    // MARK: The oracle

    /// What runs and was not given up by a false fence.
    private func live() -> [Sight] {
        rig.hosts.all().flatMap { host, record in
            record.domains.map { Sight(vm: $0.key, host: host, epoch: $0.value) }
        }.filter { !lingering.contains($0) }
    }

    private func check() async throws {
        for id in vms {
            let before = try await rig.database.read { try $0.vm(id) }
            let domains = live().filter { $0.vm == id }
            let isDiskGone = rig.hosts.disksMade(for: id) > 0 && !rig.hosts.disks.contains(id)
            let after = try await rig.database.read { try $0.vm(id) }
            guard domains.count <= 1 else { throw fail("\(id) runs twice: \(domains)") }
            try checkDisk(of: id, before, after, isGone: isDiskGone)
            // Only while the record stands still do the two belong to one moment.
            guard before?.revision == after?.revision, let domain = domains.first else { continue }
            guard let after else { throw fail("\(id) is gone, and runs: \(domain)") }
            let name = after.name
            guard let placement = after.state.placement else {
                throw fail("\(name) is \(after.state.sentence), and runs: \(domain)")
            }
            guard placement == Placement(host: domain.host, epoch: domain.epoch) else {
                throw fail("\(name) is placed on \(placement), and runs: \(domain)")
            }
        }
        for host in Self.hosts {
            let view = try await rig.hostService.host(host.rawValue)
            let all = try await rig.vms.vms(ListQuery(limit: 500)).items.map(\.vm)
            let again = try await rig.hostService.host(host.rawValue)
            let placed = all.filter { $0.state.placement?.host == host }.count
            if view.allocated == again.allocated, view.allocated.cpus != placed {
                let later = try await rig.vms.vms(ListQuery(limit: 500)).items.map(\.vm)
                if later == all { throw fail("\(placed) VMs are placed on a host that counts \(view.allocated.cpus)") }
            }
        }
    }

    /// A disk is removed only of a VM that nobody can want again, and is then not made anew.
    private func checkDisk(of id: VMID, _ before: VM?, _ after: VM?, isGone: Bool) throws {
        guard !calledOff.contains(where: { $0.vm == id }) else { return }
        guard rig.hosts.disksMade(for: id) <= 1 else { throw fail("the disk of \(id) was made twice") }
        guard let before, let after, before.revision == after.revision else { return }
        let isGivenUp = after.isGivenUp(at: rig.context.time.wall())
        guard !isGone || isGivenUp else { throw fail("\(after.name) is \(after.state.sentence), and its disk is gone") }
    }

    private func calmDown() async throws {
        isCalm.set()
        trail.append("calm")
        for host in Self.hosts {
            rig.hosts.runSlow(on: host)
            rig.hosts.change(host) { $0.libvirtAnswers = true }
            try await connect(host)
        }
    }

    /// Every host is back and nothing goes wrong any more: within a bounded time nothing waits, and the records and the
    /// hosts agree.
    private func expectSettled() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        var unsettled = try await unsettled()
        while !unsettled.isEmpty {
            guard ContinuousClock.now < deadline else { throw fail("it does not settle: \(unsettled)") }
            try await Task.sleep(for: .milliseconds(2))
            unsettled = try await self.unsettled()
        }
        for host in Self.hosts {
            try await rig.sessions.received(
                rig.hosts.inventory(host), from: host, session: rig.hosts.host(host).session)
        }
        let records = try await rig.vms.vms(ListQuery(limit: 500)).items
        let hosts = rig.hosts.all()
        for view in records {
            guard let placement = view.vm.state.placement else { continue }
            guard hosts[placement.host]?.domains[view.vm.id] == placement.epoch else {
                throw fail("\(view.vm.name) is \(view.vm.state.sentence), and does not run")
            }
        }
        for (host, record) in hosts {
            for (vm, epoch) in record.domains {
                let view = records.first { $0.vm.id == vm }
                if view?.vm.state.placement == Placement(host: host, epoch: epoch) { continue }
                let sight = Sight(vm: vm, host: host, epoch: epoch)
                guard calledOff.contains(sight) else { throw fail("nobody ended \(sight)") }
                let onHost = try await rig.hostService.host(host.rawValue).sightings
                let shown = view?.conflicts ?? onHost
                guard shown.contains(where: { $0.vm == vm && $0.host == host && $0.epoch == epoch }) else {
                    throw fail("nobody shows \(sight)")
                }
            }
        }
        for vm in rig.hosts.disks where !records.contains(where: { $0.vm.id == vm }) {
            guard calledOff.contains(where: { $0.vm == vm }) else { throw fail("the disk of \(vm) belongs to nobody") }
        }
        for (host, record) in hosts {
            for vm in record.logs where records.first(where: { $0.vm.id == vm })?.vm.lastHost != host {
                guard calledOff.contains(where: { $0.vm == vm }) else {
                    throw fail("host \(host) keeps a console log of \(vm), which is not its any more")
                }
            }
        }
        for view in records where !view.conflicts.isEmpty {
            for seen in view.conflicts where hosts[seen.host]?.domains[view.vm.id] != seen.epoch {
                throw fail("\(view.vm.name) shows a domain that is not there: \(seen)")
            }
        }
    }

    private func unsettled() async throws -> [String] {
        let vms = try await rig.vms.vms(ListQuery(limit: 500)).items.map(\.vm)
        let jobs = try await rig.gcJobs().filter { !$0.state.isEnded }
        let operations = try await rig.jobs.jobs(.operation, ListQuery(limit: 500)).items.filter { !$0.state.isEnded }
        let transient: Set<VMState.Label> = [.starting, .stopping, .destroying, .expunging, .unknown]
        return vms.filter { transient.contains($0.state.label) || $0.operation != nil }
            .map { "\($0.name) is \($0.state.sentence), operation \($0.operation?.rawValue ?? "none")" }
            + (jobs + operations).map {
                "\($0.kind.rawValue) \($0.epoch) is \($0.state) after \($0.attempts): \($0.lastError?.message ?? "")"
            }
    }
}
