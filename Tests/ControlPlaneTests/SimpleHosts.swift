import ControlPlane
import Domain
import Synchronization

/// Agents that answer at once from a table of domains, by the rules of the real one; a test can hold, drop or lose what
/// they say.
final class SimpleHosts: HostSessions {
    struct Host {
        var isConnected = false
        var libvirtAnswers = true
        var session: Int64 = 0
        /// The agent's process counts from 0; what follows outlives it.
        var sequence: Int64 = 0
        var bootID = "boot-1"
        var pool = PoolID(trusted: "99999999-0000-4000-8000-000000000001")
        var domains: [VMID: Epoch] = [:]
        var files: [HeldFile] = []
        /// The VMs that have a console log there.
        var logs: Set<VMID> = []
        /// Which of the domains are paused, by VM and epoch.
        var paused: [VMID: Epoch] = [:]

        func state(of vm: VMID, _ epoch: Epoch) -> DomainState { paused[vm] == epoch ? .paused : .running }
        var ended: [CommandID: CommandOutcome] = [:]
        var refused: Set<CommandID> = []
        /// The highest epoch seen of each VM, and the highest that was ended.
        var highest: [VMID: Epoch] = [:]
        var closed: [VMID: Epoch] = [:]
        /// Guests that are awaited, by VM.
        var awaited: [VMID: Epoch] = [:]
        /// Commands that the agent has and is slow with.
        var slow: [SlowCommand] = []
    }

    struct SlowCommand {
        let command: HostCommand
        let id: CommandID
    }

    enum Fate: Sendable {
        case deliver
        /// The agent does it, and the answer is lost.
        case loseAnswer
        /// The agent never gets it, and nobody knows.
        case loseCommand
        /// The agent has it and does it at `runSlow`, after the server stopped waiting for the answer.
        case slow
        /// The agent refuses it, whatever is true.
        case reject(Fault)
        /// The agent says so at once, and keeps nothing of it.
        case answer(CommandResult.Effect)
        /// The agent tries it without effect.
        case fail(Fault)
    }

    fileprivate struct State {
        var hosts: [HostID: Host] = [:]
        /// The root disks in each pool, and how often each was made.
        var disks: [PoolID: Set<VMID>] = [:]
        var disksMade: [VMID: Int] = [:]
        var log: [String] = []
        var fate: @Sendable (HostCommand) async -> Fate = { _ in .deliver }
        var afterHoldings: @Sendable (inout Host) -> Void = { _ in }
        var arrival = Arrival.told
    }

    /// What comes of a guest's arrival, which halts it until somebody says that it may go on.
    enum Arrival: CaseIterable {
        /// The source's agent says so.
        case told
        /// The source's agent says so, and nobody hears it.
        case untold
        /// The source's libvirt hears nothing of it, and lets the guest go on where it was.
        case unheard
    }

    private let state = Mutex(State())

    var log: [String] { state.withLock { $0.log } }

    /// The root disks in all pools.
    var disks: Set<VMID> { state.withLock { $0.disks.values.reduce(into: []) { $0.formUnion($1) } } }

    func disks(in pool: PoolID) -> Set<VMID> { state.withLock { $0.disks[pool] ?? [] } }

    /// How often the root disk of `vm` was made: a second one is empty.
    func disksMade(for vm: VMID) -> Int { state.withLock { $0.disksMade[vm] ?? 0 } }

    func host(_ id: HostID) -> Host { state.withLock { $0.hosts[id] ?? Host() } }

    /// All hosts at one moment.
    func all() -> [HostID: Host] { state.withLock { $0.hosts } }

    func change(_ id: HostID, _ body: (inout Host) -> Void) {
        state.withLock { state in
            var host = state.hosts[id] ?? Host()
            body(&host)
            state.hosts[id] = host
        }
    }

    func decideArrivals(_ arrival: Arrival) { state.withLock { $0.arrival = arrival } }

    func decideFate(_ fate: @escaping @Sendable (HostCommand) async -> Fate) { state.withLock { $0.fate = fate } }

    /// What happens on a host right after it has listed its holdings.
    func afterHoldings(_ change: @escaping @Sendable (inout Host) -> Void) {
        state.withLock { $0.afterHoldings = change }
    }

    func inventory(_ id: HostID) -> Inventory {
        change(id) { $0.sequence += 1 }
        let host = host(id)
        return Inventory(
            bootID: host.bootID, libvirtAnswered: host.libvirtAnswers,
            domains: host.libvirtAnswers
                ? host.domains.map {
                    ObservedDomain(vm: $0.key, epoch: $0.value, state: host.state(of: $0.key, $0.value))
                } : [],
            busy: host.slow.map(\.command.vm), sequence: host.sequence)
    }

    /// Lets the agent do what it was slow with.
    func runSlow(on id: HostID) {
        let slow = host(id).slow
        change(id) { $0.slow = [] }
        for one in slow { _ = perform(one.command, one.id, on: id, inSession: false) }
    }

    // MARK: HostSessions

    private static let lost = Fault(.unavailable, .outcomeUnknown, "The answer was lost.")
    private static let notConnected = Fault(.unavailable, .hostUnreachable, "The host is not connected.")

    func send(_ command: HostCommand, id: CommandID, to host: HostID, limit: Duration) async -> CommandEnd {
        guard self.host(host).isConnected else { return .notSent(Self.notConnected) }
        switch await state.withLock({ $0.fate })(command) {
        case .loseCommand: return .outcomeUnknown(Self.lost)
        case .loseAnswer:
            if !queue(command, id, on: host, isSlow: false) { _ = perform(command, id, on: host, inSession: true) }
            return .outcomeUnknown(Self.lost)
        case .slow:
            _ = queue(command, id, on: host, isSlow: true)
            return .outcomeUnknown(Self.lost)
        case .answer(let effect): return .done(CommandResult(effect: effect, sequence: 0))
        case .reject(let fault): return .rejected(fault)
        case .fail(let fault):
            change(host) { $0.ended[id] = .failed(fault) }
            return .failed(fault)
        case .deliver: break
        }
        guard !queue(command, id, on: host, isSlow: false),
            let outcome = perform(command, id, on: host, inSession: true)
        else { return .outcomeUnknown(Self.lost) }
        return CommandEnd(outcome)
    }

    /// Puts a command behind those of its VM that the agent is slow with; false if there are none and it need not wait.
    private func queue(_ command: HostCommand, _ id: CommandID, on host: HostID, isSlow: Bool) -> Bool {
        state.withLock { state in
            guard var record = state.hosts[host], record.isConnected else { return false }
            if record.slow.contains(where: { $0.id == id }) { return true }
            guard isSlow || record.slow.contains(where: { $0.command.vm == command.vm }) else { return false }
            record.slow.append(SlowCommand(command: command, id: id))
            state.hosts[host] = record
            return true
        }
    }

    func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement {
        guard self.host(host).isConnected else { return .unknown(Self.notConnected) }
        return state.withLock { state in
            guard var record = state.hosts[host] else { return .unknown(Self.notConnected) }
            if let outcome = record.ended[id] { return .ended(outcome) }
            if record.slow.contains(where: { $0.id == id }) { return .unknown(Self.lost) }
            record.refused.insert(id)
            state.hosts[host] = record
            return .neverReceived
        }
    }

    func acknowledge(_ id: CommandID, on host: HostID) async {
        guard self.host(host).isConnected else { return }
        change(host) { $0.ended[id] = nil }
    }

    func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory {
        guard self.host(host).isConnected else { throw Self.notConnected }
        return SessionInventory(session: self.host(host).session, inventory: inventory(host))
    }

    func holdings(of host: HostID, limit: Duration) async throws(Fault) -> HostHoldings {
        let record = self.host(host)
        guard record.isConnected else { throw Self.notConnected }
        defer {
            let after = state.withLock { state -> @Sendable (inout Host) -> Void in state.afterHoldings }
            change(host, after)
        }
        return HostHoldings(
            pool: record.pool,
            domains: record.domains.sorted { $0.key < $1.key }.map { vm, epoch in
                HeldDomain(
                    seen: ObservedDomain(vm: vm, epoch: epoch, state: record.state(of: vm, epoch)), name: "d", cpus: 2,
                    memory: 256)
            }, files: record.files, epochs: record.highest.merging(record.closed) { max($0, $1) })
    }

    func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8] { [] }

    func disconnect(_ host: HostID, reason: String) async { change(host) { $0.isConnected = false } }

    func endOvertaken(_ current: @Sendable () async throws -> [HostID: Int64]) async throws {
        let known = try await current()
        for id in [rigHostA, rigHostB] where host(id).isConnected && known[id] != host(id).session {
            change(id) { $0.isConnected = false }
        }
    }

    func disconnectAll(reason: String) async {
        for host in [rigHostA, rigHostB] { change(host) { $0.isConnected = false } }
    }

    // MARK: The agent

    /// Nil: the session ended before the command came.
    private func perform(
        _ command: HostCommand, _ id: CommandID, on host: HostID, inSession: Bool
    ) -> CommandOutcome? {
        state.withLock { state in
            var record = state.hosts[host] ?? Host()
            guard record.isConnected || !inSession else { return nil }
            defer { state.hosts[host] = record }
            if let outcome = record.ended[id] { return outcome }
            guard !record.refused.contains(id) else {
                return .rejected(Fault(.conflict, .superseded, "The command came after the server had given it up."))
            }
            guard record.libvirtAnswers else {
                return .rejected(Fault(.unavailable, .libvirtUnavailable, "libvirt does not answer."))
            }
            state.log.append("\(host == rigHostA ? "A" : "B") \(command.label) \(command.epoch)")
            record.sequence += 1
            let outcome: CommandOutcome
            if case .migrate(let migrate) = command {
                var destination = state.hosts[migrate.destination] ?? Host()
                outcome = Self.move(migrate, from: &record, to: &destination, state.arrival)
                state.hosts[migrate.destination] = destination
            } else {
                outcome = Self.run(command, on: &record)
            }
            state.follow(command, outcome, in: record.pool)
            record.ended[id] = outcome
            return outcome
        }
    }

    private static func move(
        _ command: MigrateVMCommand, from source: inout Host, to destination: inout Host, _ arrival: Arrival
    ) -> CommandOutcome {
        let vm = command.vm
        guard source.domains[vm] == command.epoch else {
            return .rejected(Fault(.conflict, .domainNotFound, "There is no such domain."))
        }
        guard destination.awaited[vm] == command.arrivalEpoch else {
            return .failed(Fault(.unavailable, .commandFailed, "The other host cannot be reached for the move."))
        }
        destination.awaited[vm] = nil
        destination.domains[vm] = command.arrivalEpoch
        destination.paused[vm] = command.arrivalEpoch
        if arrival == .unheard { return .failed(Fault(.unavailable, .commandFailed, "The connection ended.")) }
        if arrival == .told, source.paused[vm] != command.epoch { destination.paused[vm] = nil }
        source.domains[vm] = nil
        source.paused[vm] = nil
        source.closed[vm] = max(source.closed[vm] ?? .none, command.epoch)
        return .done(CommandResult(effect: arrival == .told ? .landed : .migrated, sequence: source.sequence))
    }

    private static func run(_ command: HostCommand, on host: inout Host) -> CommandOutcome {
        let (vm, epoch) = (command.vm, command.epoch)
        let found = host.domains[vm]
        if let found, found != epoch {
            host.highest[vm] = max(host.highest[vm] ?? .none, found)
            return .rejected(Fault(.conflict, .staleEpoch, "A domain of epoch \(found) runs here."))
        }
        func done(_ effect: CommandResult.Effect) -> CommandOutcome {
            .done(CommandResult(effect: effect, sequence: host.sequence))
        }
        switch command {
        case .start:
            guard found != nil || epoch > max(host.highest[vm] ?? .none, host.closed[vm] ?? .none) else {
                return .rejected(Fault(.conflict, .staleEpoch, "That epoch is over on this host."))
            }
            host.highest[vm] = max(host.highest[vm] ?? .none, epoch)
            host.domains[vm] = epoch
            host.logs.insert(vm)
            return done(.started)
        case .prepareMigration:
            guard found == nil, epoch > max(host.highest[vm] ?? .none, host.closed[vm] ?? .none) else {
                return .rejected(Fault(.conflict, .staleEpoch, "That epoch is over on this host."))
            }
            host.highest[vm] = epoch
            host.awaited[vm] = epoch
            host.logs.insert(vm)
            let landing = MigrationLanding(
                address: "10.0.0.12", port: 4711, domainType: "qemu", boot: .disk("/d"), consoleLog: "/c",
                socketDirectory: "/s")
            return .done(CommandResult(effect: .prepared, sequence: host.sequence, landing: landing))
        case .adopt(let adopt):
            if found == nil { return .rejected(Fault(.conflict, .domainNotFound, "There is no domain.")) }
            host.domains[vm] = adopt.grantedEpoch
            host.highest[vm] = adopt.grantedEpoch
            host.closed[vm] = max(host.closed[vm] ?? .none, epoch)
            return done(.adopted)
        case .completeMigration(let complete):
            guard found != nil else {
                return .rejected(Fault(.conflict, .domainNotFound, "There is no domain."))
            }
            if complete.resumes { host.paused[vm] = nil }
            return done(complete.resumes ? .resumed : .paused)
        case .migrate, .cancelMigration:
            return .rejected(Fault(.conflict, .domainNotFound, "No move is under way."))
        case .stop(let stop):
            if let awaited = host.awaited[vm], awaited <= epoch { host.awaited[vm] = nil }
            host.closed[vm] = max(host.closed[vm] ?? .none, epoch)
            guard found != nil else {
                return stop.ignoreNotFound
                    ? done(.notFound) : .rejected(Fault(.conflict, .domainNotFound, "There is no domain."))
            }
            host.domains[vm] = nil
            host.paused[vm] = nil
            return done(.stopped)
        case .control(let command):
            guard found != nil else {
                return .rejected(Fault(.conflict, .domainNotFound, "There is no domain."))
            }
            host.paused[vm] = command.control == .pause ? epoch : nil
            return done(command.control.effect)
        case .destroy(let destroy):
            let highest = host.highest[vm] ?? .none
            guard !destroy.removesDisk || epoch >= highest else {
                return .rejected(Fault(.conflict, .staleEpoch, "This host has seen epoch \(highest)."))
            }
            host.closed[vm] = max(host.closed[vm] ?? .none, epoch)
            host.domains[vm] = nil
            if destroy.removesDisk {
                host.files.removeAll { $0.vm == vm }
                host.logs.remove(vm)
            }
            return done(.destroyed)
        case .release:
            guard found == nil else {
                return .rejected(Fault(.conflict, .placementUnresolved, "Its domain is there."))
            }
            let highest = host.highest[vm] ?? .none
            guard epoch >= highest else {
                return .rejected(Fault(.conflict, .staleEpoch, "This host has seen epoch \(highest)."))
            }
            host.closed[vm] = max(host.closed[vm] ?? .none, epoch)
            host.logs.remove(vm)
            return done(.released)
        }
    }
}

extension SimpleHosts.State {
    /// What a command that was carried out does to the host's pool.
    fileprivate mutating func follow(_ command: HostCommand, _ outcome: CommandOutcome, in pool: PoolID) {
        guard case .done = outcome else { return }
        switch command {
        case .start(let start):
            if disks[pool, default: []].insert(start.vm).inserted { disksMade[start.vm, default: 0] += 1 }
        case .destroy(let destroy):
            if destroy.removesDisk { disks[pool]?.remove(destroy.vm) }
        case .prepareMigration(let prepare):
            if prepare.copiesStorage { disks[pool, default: []].insert(prepare.vm) }
        case .stop, .control, .migrate, .cancelMigration, .completeMigration, .adopt, .release: break
        }
    }
}

let rigHostA = HostID(trusted: "aaaaaaaa-0000-4000-8000-000000000001")
let rigHostB = HostID(trusted: "bbbbbbbb-0000-4000-8000-000000000002")
