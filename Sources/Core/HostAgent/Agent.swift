package import Domain
package import Logging
import Synchronization

/// The agent's own logic: commands once each, reports in the order they were seen, and a memory that survives it.
package final class Agent: AgentInbox {
    private struct State {
        var facts: HostFacts?
        /// The latest hello could not say what the host is.
        var helloLacksFacts = false
        /// The number under which libvirt was last found silent.
        var lostSightAt = Int64.min
    }

    private let runner: CommandRunner
    private let hypervisor: any Hypervisor
    private let storage: any HostStorage
    private let journal: any CommandJournal
    private let ledger: any EpochLedger
    private let time: any TimeSource
    private let faults: any FaultPoints
    private let logger: Logger
    private let bootID: String
    private let version: String
    private let instance: String
    private let inventoryInterval: Duration
    private let queues = VMQueues()
    private let claims: CommandClaims
    private let reboots = Reboots()
    private let sequence: Sequence
    private let outlet: Outlet
    private let state = Mutex(State())

    /// - Parameters:
    ///   - bootID: names this boot of the host; a new one tells the server that nothing of the old one runs.
    ///   - inventoryInterval: how often a whole inventory is sent as a safety net.
    package init(
        hypervisor: any Hypervisor, storage: any HostStorage, channel: any MigrationChannel,
        journal: any CommandJournal, ledger: any EpochLedger, time: any TimeSource, ids: any IDSource,
        faults: any FaultPoints, bootID: String, version: String,
        inventoryInterval: Duration = .seconds(60), logger: Logger
    ) {
        self.hypervisor = hypervisor
        self.storage = storage
        self.journal = journal
        self.ledger = ledger
        self.time = time
        self.faults = faults
        self.logger = logger
        self.bootID = bootID
        self.version = version
        self.instance = ids.uuid()
        self.inventoryInterval = inventoryInterval
        let sequence = Sequence()
        self.sequence = sequence
        let claims = CommandClaims()
        self.claims = claims
        let outlet = Outlet()
        self.outlet = outlet
        self.runner = CommandRunner(
            hypervisor: hypervisor, storage: storage, channel: channel, journal: journal, ledger: ledger, time: time,
            faults: faults, nextSequence: { sequence.next() }, isOvertaken: { claims.isOvertaken($0) },
            isEndAwaited: { claims.isEndAwaited($0, $1) }, reboots: { [reboots] in reboots.count(of: $0) },
            isMoveCancelled: { claims.isMoveCancelled($0, $1) }, queues: queues,
            reportProgress: { outlet.yield(.migrationProgress($0, $1, $2)) }, logger: logger)
    }

    /// Where reports go: to whoever listened last.
    private final class Outlet: Sendable {
        private let continuation = Mutex<AsyncStream<AgentReport>.Continuation?>(nil)

        func yield(_ report: AgentReport) { _ = continuation.withLock { $0 }?.yield(report) }

        func replace(_ next: AsyncStream<AgentReport>.Continuation) {
            let earlier = continuation.withLock { continuation in
                defer { continuation = next }
                return continuation
            }
            earlier?.finish()
        }
    }

    /// Counts how often each guest has booted anew.
    private final class Reboots: Sendable {
        private let counts = Mutex<[VMID: Int]>([:])

        func count(of vm: VMID) -> Int { counts.withLock { $0[vm] ?? 0 } }
        func note(_ vm: VMID) { counts.withLock { $0[vm, default: 0] += 1 } }
        func forget(_ vm: VMID) { counts.withLock { $0[vm] = nil } }
    }

    /// Numbers what the agent sees, in the order it sees it.
    private final class Sequence: Sendable {
        private let value = Mutex<Int64>(0)

        func next() -> Int64 {
            value.withLock { value in
                value += 1
                return value
            }
        }
    }

    /// Watches libvirt until the task is cancelled: turns its events into reports, and sends a whole inventory now and then.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.watch() }
            group.addTask {
                while !Task.isCancelled {
                    try? await self.time.sleep(for: self.inventoryInterval)
                    if !Task.isCancelled { await self.look() }
                }
            }
        }
    }

    private func watch() async {
        await withDiscardingTaskGroup { group in
            for await event in hypervisor.events() {
                switch event {
                case .changed(let vm, let epoch?, let domain):
                    let number = sequence.next()
                    // Before the server hears of it: whatever it decides then, the domain stays gone.
                    if !domain.isLive {
                        close(vm, epoch)
                        reboots.forget(vm)
                    }
                    report(.domainChanged(vm, epoch, domain, sequence: number))
                case .changed(_, nil, _):
                    await reportInventory()
                case .rebooted(let vm): reboots.note(vm)
                case .connected:
                    await reportInventory()
                    // What libvirt can do may take it long to tell; its events must not wait for that.
                    group.addTask { await self.completeHello() }
                case .disconnected(let reason):
                    logger.warning("libvirt does not answer", metadata: ["error": "\(reason)"])
                    loseSight()
                }
            }
        }
    }

    private func look() async {
        await reportInventory()
        await completeHello()
    }

    private func reportInventory() async {
        let inventory = await collectInventory()
        state.withLock { state in
            // One that was begun before libvirt fell silent would say that it answers.
            guard inventory.sequence > state.lostSightAt else { return }
            outlet.yield(.inventory(inventory))
        }
    }

    private func loseSight() {
        let number = sequence.next()
        state.withLock { state in
            state.lostSightAt = number
            outlet.yield(.lostSight)
        }
    }

    /// The domain of `epoch` has ended: a copy of its start that comes now must not bring it up again.
    private func close(_ vm: VMID, _ epoch: Epoch) {
        do { try ledger.raise(vm, to: EpochMark(highest: epoch, closed: epoch)) } catch {
            logger.error("cannot close an epoch", metadata: ["vm": "\(vm)", "epoch": "\(epoch)", "error": "\(error)"])
        }
    }

    /// Asks for another hello if the latest could not say what the host is and libvirt can tell it by now.
    private func completeHello() async {
        guard state.withLock({ $0.helloLacksFacts }), await learnFacts() else { return }
        state.withLock { state in
            guard state.helloLacksFacts else { return }
            state.helloLacksFacts = false
            outlet.yield(.helloDue)
        }
    }

    private func report(_ report: AgentReport) { outlet.yield(report) }

    // MARK: AgentInbox

    package func reports() -> AsyncStream<AgentReport> {
        let (stream, continuation) = AsyncStream.makeStream(of: AgentReport.self)
        outlet.replace(continuation)
        return stream
    }

    package func hello() async -> HelloContent {
        state.withLock { $0.helloLacksFacts = $0.facts == nil }
        await learnFacts()
        let known = state.withLock { state in
            if state.facts != nil { state.helloLacksFacts = false }
            return state.facts
        }
        let inventory = await collectInventory()
        let (heard, highest) = memory()
        return HelloContent(
            instance: instance, facts: known ?? unknownFacts, inventory: inventory, heard: heard, highestEpoch: highest)
    }

    /// What tells an older copy of the server's records. A memory that cannot be read tells nothing.
    private func memory() -> (RecordPoint, Epoch) {
        do { return (try ledger.heard(), try ledger.highest()) } catch {
            logger.error("the agent's record of epochs cannot be read", metadata: ["error": "\(error)"])
            return (.none, .none)
        }
    }

    package func hear(_ point: RecordPoint) async {
        do { try ledger.raise(to: point) } catch {
            logger.warning("cannot keep how far the records have come", metadata: ["error": "\(error)"])
        }
    }

    package func collectInventory() async -> Inventory {
        // Before the look: what changes while libvirt lists its domains has a higher number, or its VM is busy.
        let number = sequence.next()
        claims.beginLook(number)
        let domains: [ObservedDomain]?
        do {
            let seen = try await hypervisor.domains()
            for domain in seen {
                guard let epoch = domain.epoch else { continue }
                try ledger.raise(domain.vm, to: EpochMark(highest: epoch, closed: .none))
            }
            domains = seen
        } catch {
            logger.warning("no inventory", metadata: ["error": "\(error)"])
            domains = nil
        }
        return Inventory(
            bootID: bootID, libvirtAnswered: domains != nil, domains: domains ?? [], busy: claims.endLook(number),
            sequence: number)
    }

    package func execute(_ command: HostCommand, id: CommandID) async throws(CancellationError) -> CommandOutcome {
        // It must not wait behind the move that it is about, and leaves nothing to remember.
        if case .cancelMigration(let cancel) = command {
            guard claims.cancelMove(cancel.vm, cancel.epoch) else { return .rejected(.noMove) }
            return .done(CommandResult(effect: .cancelling, sequence: sequence.next()))
        }
        claims.arrive(command)
        defer { claims.depart(command) }
        if case .ended(let outcome) = await claims.claim(id) { return outcome }
        await faults.reach("agent-\(command.label).received")
        let outcome: CommandOutcome
        do throws(CancellationError) {
            outcome = try await queues.run(command.vm) { () throws(CancellationError) in
                try await self.runOnce(command, id)
            }
        } catch {
            claims.release(id, with: nil)
            throw error
        }
        claims.release(id, with: outcome)
        logger.info(
            "command ended",
            metadata: [
                "command": "\(command.label)", "id": "\(id)", "vm": "\(command.vm)", "epoch": "\(command.epoch)",
                "outcome": "\(outcome.label)",
            ])
        return outcome
    }

    private func runOnce(_ command: HostCommand, _ id: CommandID) async throws(CancellationError) -> CommandOutcome {
        let entry: JournalEntry?
        do { entry = try journal.entry(id) } catch {
            return try await runner.refuse(
                command, id: id, Fault(.unavailable, .internalError, "The agent's journal cannot be read: \(error)"))
        }
        switch entry {
        case .ended(let outcome): return outcome
        case .refused:
            return .rejected(Fault(.conflict, .superseded, "The command came after the server had given it up."))
        // The agent died in it: running it again finds out what came of it, and never does it twice.
        case .begun: return try await runner.run(command, id: id, isResumed: true)
        case nil: return try await runner.run(command, id: id, isResumed: false)
        }
    }

    package func settle(_ id: CommandID) async -> AgentSettlement {
        // A copy of the command that comes meanwhile waits, and then finds in the journal what was promised here.
        guard claims.claimIfFree(id) else { return .underWay }
        defer { claims.release(id, with: nil) }
        do {
            switch try journal.entry(id) {
            case .ended(let outcome): return .ended(outcome)
            case .refused: return .neverReceived
            case .begun(let begun):
                let outcome = try await queues.run(begun.vm) { () throws(any Error) in
                    try await runner.settle(begun, id: id)
                }
                return outcome.map { .ended($0) } ?? .underWay
            case nil:
                try journal.refuse(id)
                return .neverReceived
            }
        } catch {
            logger.error("cannot settle a command", metadata: ["id": "\(id)", "error": "\(error)"])
            return .underWay
        }
    }

    package func consoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8] {
        try await storage.readConsoleLog(of: vm, limit: limit)
    }

    package func collectHoldings() async throws(Fault) -> HostHoldings {
        let domains: [HeldDomain]
        do throws(HypervisorError) { domains = try await hypervisor.heldDomains() } catch { throw error.fault }
        let files = try await storage.heldFiles()
        var epochs: [VMID: Epoch] = [:]
        for domain in domains { epochs[domain.seen.vm] = domain.seen.epoch }
        for vm in Set(domains.map(\.seen.vm) + files.map(\.vm)) {
            let mark: EpochMark
            do { mark = try ledger.mark(of: vm) } catch {
                throw error as? Fault
                    ?? Fault(.unavailable, .internalError, "The agent's record of epochs cannot be read: \(error)")
            }
            let highest = max(mark.highest, mark.closed, epochs[vm] ?? .none)
            epochs[vm] = highest == .none ? nil : highest
        }
        return HostHoldings(pool: storage.pool, domains: domains, files: files, epochs: epochs)
    }

    package func acknowledge(_ id: CommandID) async {
        do { try journal.forget(id) } catch {
            logger.warning("cannot forget a command", metadata: ["id": "\(id)", "error": "\(error)"])
        }
    }

    // MARK: Facts

    /// Asks libvirt what the host is, and keeps it; says whether libvirt told.
    @discardableResult
    private func learnFacts() async -> Bool {
        let fresh: HostFacts? = try? await {
            let capacity = try await hypervisor.capacity()
            return HostFacts(
                cpus: capacity.cpus, memory: capacity.memory, agentVersion: version,
                hypervisor: try await hypervisor.facts(), pool: storage.pool)
        }()
        guard let fresh else { return false }
        state.withLock { $0.facts = fresh }
        return true
    }

    private var unknownFacts: HostFacts {
        HostFacts(
            cpus: 0, memory: 0, agentVersion: version,
            hypervisor: HypervisorFacts(
                domainType: "unknown", reason: "libvirt has not answered yet.", libvirtVersion: "", qemuVersion: ""),
            pool: storage.pool)
    }
}

extension Fault {
    static let noMove = Fault(.conflict, .domainNotFound, "No move of this domain is under way here.")
}

extension CommandOutcome {
    /// The outcome in one word, for logs.
    var label: String {
        switch self {
        case .done(let result): result.effect.rawValue
        case .rejected(let fault): "rejected: \(fault.code.rawValue)"
        case .failed(let fault): "failed: \(fault.code.rawValue)"
        }
    }
}
