import Domain
import HostAgent
import Synchronization

/// An agent without a hypervisor: remembers commands by id, and ends them when the test says so.
final class FakeInbox: AgentInbox {
    private struct Shared {
        var sequence: Int64 = 1
        var outcomes: [CommandID: CommandOutcome] = [:]
        var underWay: [CommandID: [CheckedContinuation<CommandOutcome, Never>]] = [:]
        var refused: Set<CommandID> = []
        var executed: [CommandID] = []
        var acknowledged: [CommandID] = []
        var heard: [RecordPoint] = []
        var holds = false
        var reports: AsyncStream<AgentReport>.Continuation?
        var duringHello: [AgentReport] = []
    }

    let instance: String
    private let state = Mutex(Shared())

    init(instance: String) { self.instance = instance }

    var executed: [CommandID] { state.withLock { $0.executed } }
    var heard: [RecordPoint] { state.withLock { $0.heard } }
    var acknowledged: [CommandID] { state.withLock { $0.acknowledged } }
    var underWay: [CommandID] { state.withLock { Array($0.underWay.keys) } }

    /// Whether commands go on until `finish`; otherwise they end at once.
    func hold(_ holds: Bool) { state.withLock { $0.holds = holds } }

    func finish(_ id: CommandID, with outcome: CommandOutcome) {
        let waiters = state.withLock { shared in
            shared.outcomes[id] = outcome
            return shared.underWay.removeValue(forKey: id) ?? []
        }
        for waiter in waiters { waiter.resume(returning: outcome) }
    }

    func report(_ report: AgentReport) { _ = state.withLock { $0.reports?.yield(report) } }

    /// Reports made while each hello is being collected.
    func reportDuringHello(_ reports: [AgentReport]) { state.withLock { $0.duringHello = reports } }

    func setSequence(_ sequence: Int64) { state.withLock { $0.sequence = sequence } }

    // MARK: AgentInbox

    func hello() async -> HelloContent {
        let inventory = await collectInventory()
        for report in state.withLock({ $0.duringHello }) { self.report(report) }
        return HelloContent(
            instance: instance,
            facts: HostFacts(
                cpus: 2, memory: 2048, agentVersion: "0.1",
                hypervisor: HypervisorFacts(
                    domainType: "qemu", reason: "no KVM", libvirtVersion: "9.0", qemuVersion: "7.2"),
                pool: PoolID(trusted: "00000000-0000-4000-8000-000000000001")),
            inventory: inventory)
    }

    func execute(_ command: HostCommand, id: CommandID) async -> CommandOutcome {
        await withCheckedContinuation { continuation in
            let known = state.withLock { shared -> CommandOutcome? in
                if let outcome = shared.outcomes[id] { return outcome }
                if shared.refused.contains(id) { return .rejected(Fault(.conflict, .superseded, "Too late.")) }
                if shared.underWay[id] == nil { shared.executed.append(id) }
                if shared.holds {
                    shared.underWay[id, default: []].append(continuation)
                    return nil
                }
                let outcome = CommandOutcome.done(CommandResult(effect: .stopped, sequence: shared.sequence))
                shared.outcomes[id] = outcome
                return outcome
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    func settle(_ id: CommandID) async -> AgentSettlement {
        state.withLock { shared in
            if let outcome = shared.outcomes[id] { return .ended(outcome) }
            if shared.underWay[id] != nil { return .underWay }
            shared.refused.insert(id)
            return .neverReceived
        }
    }

    func collectInventory() async -> Inventory {
        state.withLock { shared in
            shared.sequence += 1
            return Inventory(
                bootID: "boot", libvirtAnswered: true,
                domains: [
                    ObservedDomain(vm: testVM, epoch: Epoch(3), state: .running),
                    ObservedDomain(vm: testVM, epoch: nil, state: .gone(.guestShutdown)),
                ], sequence: shared.sequence)
        }
    }

    func collectHoldings() async throws(Fault) -> HostHoldings {
        guard !state.withLock({ $0.holds }) else {
            throw Fault(.unavailable, .libvirtUnavailable, "libvirt does not answer.", hint: "Start it.")
        }
        return testHoldings
    }

    func consoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8] {
        guard vm == testVM else { throw .notFound("VM", vm.rawValue) }
        return Array("login:".utf8.suffix(limit))
    }

    func hear(_ point: RecordPoint) async { state.withLock { $0.heard.append(point) } }

    func acknowledge(_ id: CommandID) async { state.withLock { $0.acknowledged.append(id) } }

    func reports() -> AsyncStream<AgentReport> {
        let (stream, continuation) = AsyncStream.makeStream(of: AgentReport.self)
        state.withLock { shared in
            shared.reports?.finish()
            shared.reports = continuation
        }
        return stream
    }
}

let testVM = VMID(trusted: "00000000-0000-4000-8000-0000000000aa")
let someHost = HostID(trusted: "00000000-0000-4000-8000-0000000000bb")

let testHoldings = HostHoldings(
    pool: PoolID(trusted: "00000000-0000-4000-8000-000000000001"),
    domains: [
        HeldDomain(
            seen: ObservedDomain(vm: testVM, epoch: Epoch(3), state: .paused), name: "web-1", cpus: 2, memory: 512),
        HeldDomain(
            seen: ObservedDomain(vm: testVM, epoch: nil, state: .running), name: "web-2", cpus: 1, memory: 16),
    ],
    files: HeldFile.Kind.allCases.map { HeldFile(vm: testVM, kind: $0, bytes: 1 << 40) }, epochs: [testVM: Epoch(4)])

let coldStop = HostCommand.stop(
    StopVMCommand(vm: testVM, epoch: Epoch(3), mode: .cold, timeout: .seconds(5), ignoreNotFound: true))
