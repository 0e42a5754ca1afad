package import Domain
package import Logging
import Synchronization

/// The agent's own logic: commands once each, reports in the order they were seen, and a memory that survives it.
package final class Agent: AgentInbox {
    private struct State {
        /// VMs with commands that were received and have not ended, and how many.
        var busy: [VMID: Int] = [:]
        var underWay: [CommandID: [CheckedContinuation<CommandOutcome?, Never>]] = [:]
        var reports: AsyncStream<AgentReport>.Continuation?
        var facts: HostFacts?
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
    private let sequence: Sequence
    private let state = Mutex(State())

    /// - Parameters:
    ///   - bootID: names this boot of the host; a new one tells the server that nothing of the old one runs.
    ///   - inventoryInterval: how often a whole inventory is sent as a safety net.
    package init(
        hypervisor: any Hypervisor, storage: any HostStorage, journal: any CommandJournal, ledger: any EpochLedger,
        time: any TimeSource, ids: any IDSource, faults: any FaultPoints, bootID: String, version: String,
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
        self.runner = CommandRunner(
            hypervisor: hypervisor, storage: storage, journal: journal, ledger: ledger, time: time, faults: faults,
            nextSequence: { sequence.next() }, logger: logger)
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
                    if !Task.isCancelled { self.report(.inventory(await self.collectInventory())) }
                }
            }
        }
    }

    private func watch() async {
        for await event in hypervisor.events() {
            switch event {
            case .changed(let vm, let epoch?, let domain):
                report(.domainChanged(vm, epoch, domain, sequence: sequence.next()))
            case .changed(_, nil, _), .connected:
                report(.inventory(await collectInventory()))
            case .disconnected(let reason):
                logger.warning("libvirt does not answer", metadata: ["error": "\(reason)"])
                report(.lostSight)
            }
        }
    }

    private func report(_ report: AgentReport) { _ = state.withLock { $0.reports }?.yield(report) }

    // MARK: AgentInbox

    package func reports() -> AsyncStream<AgentReport> {
        let (stream, continuation) = AsyncStream.makeStream(of: AgentReport.self)
        let earlier = state.withLock { state in
            let earlier = state.reports
            state.reports = continuation
            return earlier
        }
        earlier?.finish()
        return stream
    }

    package func hello() async -> HelloContent {
        HelloContent(instance: instance, facts: await facts(), inventory: await collectInventory())
    }

    package func collectInventory() async -> Inventory {
        // Both before the look: what changes while libvirt lists its domains has a higher number or is still busy.
        let number = sequence.next()
        let busy = state.withLock { Array($0.busy.keys) }
        do {
            let domains = try await hypervisor.domains()
            for domain in domains {
                guard let epoch = domain.epoch else { continue }
                try ledger.raise(domain.vm, to: EpochMark(highest: epoch, closed: .none))
            }
            return Inventory(
                bootID: bootID, libvirtAnswered: true, domains: domains, busy: busy.sorted(), sequence: number)
        } catch {
            logger.warning("no inventory", metadata: ["error": "\(error)"])
            return Inventory(bootID: bootID, libvirtAnswered: false, domains: [], busy: busy.sorted(), sequence: number)
        }
    }

    package func execute(_ command: HostCommand, id: CommandID) async -> CommandOutcome {
        if let outcome = await join(id, for: command.vm) { return outcome }
        await faults.reach("agent-\(command.label).received")
        let outcome = await queues.run(command.vm) { await self.runOnce(command, id) }
        let waiters = state.withLock { state in
            let count = (state.busy[command.vm] ?? 1) - 1
            state.busy[command.vm] = count > 0 ? count : nil
            return state.underWay.removeValue(forKey: id) ?? []
        }
        for waiter in waiters { waiter.resume(returning: outcome) }
        logger.info(
            "command ended",
            metadata: [
                "command": "\(command.label)", "id": "\(id)", "vm": "\(command.vm)", "epoch": "\(command.epoch)",
                "outcome": "\(outcome.label)",
            ])
        return outcome
    }

    /// The end of the run of `id` that is under way; nil if this call begins it.
    private func join(_ id: CommandID, for vm: VMID) async -> CommandOutcome? {
        await withCheckedContinuation { (continuation: CheckedContinuation<CommandOutcome?, Never>) in
            let isFirst = state.withLock { state in
                guard state.underWay[id] == nil else {
                    state.underWay[id]?.append(continuation)
                    return false
                }
                state.underWay[id] = []
                state.busy[vm, default: 0] += 1
                return true
            }
            if isFirst { continuation.resume(returning: nil) }
        }
    }

    private func runOnce(_ command: HostCommand, _ id: CommandID) async -> CommandOutcome {
        do {
            switch try journal.entry(id) {
            case .ended(let outcome): return outcome
            case .refused:
                return .rejected(
                    Fault(.conflict, .superseded, "The command came after the server had given it up."))
            // The agent died in it: running it again finds out what came of it, and never does it twice.
            case .begun, nil: return await runner.run(command, id: id)
            }
        } catch {
            return .rejected(Fault(.bug, .internalError, "The agent's journal cannot be read: \(error)"))
        }
    }

    package func settle(_ id: CommandID) async -> AgentSettlement {
        if state.withLock({ $0.underWay[id] != nil }) { return .underWay }
        do {
            switch try journal.entry(id) {
            case .ended(let outcome): return .ended(outcome)
            case .refused: return .neverReceived
            case .begun(let begun): return try await runner.settle(begun, id: id).map { .ended($0) } ?? .underWay
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

    package func acknowledge(_ id: CommandID) async {
        do { try journal.forget(id) } catch {
            logger.warning("cannot forget a command", metadata: ["id": "\(id)", "error": "\(error)"])
        }
    }

    /// What the host is; what libvirt cannot tell now is as it was last known.
    private func facts() async -> HostFacts {
        let fresh: HostFacts? = try? await {
            let capacity = try await hypervisor.capacity()
            return HostFacts(
                cpus: capacity.cpus, memory: capacity.memory, agentVersion: version,
                hypervisor: try await hypervisor.facts(), pool: storage.pool)
        }()
        return state.withLock { state in
            if let fresh { state.facts = fresh }
            return state.facts
                ?? HostFacts(
                    cpus: 0, memory: 0, agentVersion: version,
                    hypervisor: HypervisorFacts(
                        domainType: "unknown", reason: "libvirt has not answered yet.", libvirtVersion: "",
                        qemuVersion: ""), pool: storage.pool)
        }
    }
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
