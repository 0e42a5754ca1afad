import AgentContract
import Domain
import HostAgent
import Synchronization

/// One session with the server, from before its hello was collected to its end.
final class LinkSession: Sendable {
    let outbox: AsyncStream<WireAgentMessage>
    private let queue: AsyncStream<WireAgentMessage>.Continuation
    private let runner: CommandRunner
    private let state = Mutex(Shared())

    /// How a session ended.
    enum End: Sendable {
        case lost(String)
        case goodbye(String)
        case refused(Fault)
        case stopping
    }

    private struct Shared {
        /// What is to follow the hello, while that is being collected.
        var held: [WireAgentMessage]? = []
        /// Reports up to this count are older than the hello's inventory.
        var collectedAt = Int64.min
        var heardAt = ContinuousClock.now
        var welcome: WireWelcome?
        /// The highest point that this session told of.
        var heard: Int64 = 0
        var end: End?
        var endWaiter: CheckedContinuation<Void, Never>?
    }

    init(runner: CommandRunner, outboxLimit: Int) {
        self.runner = runner
        (outbox, queue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(outboxLimit))
    }

    /// The server's welcome, once it came.
    var welcome: WireWelcome? { state.withLock { $0.welcome } }

    // MARK: Speaking

    /// Sends the hello, and after it what was reported while it was collected.
    func begin(_ hello: HelloContent) {
        let message = WireAgentMessage.with {
            $0.hello = .with {
                $0.protocolVersion = UInt32(AgentProtocol.version)
                $0.oldestProtocolVersion = UInt32(AgentProtocol.oldest)
                $0.instance = hello.instance
                $0.facts = WireHostFacts(hello.facts)
                $0.inventory = WireInventory(hello.inventory)
                $0.heardPoint = hello.heard.rawValue
                $0.highestEpoch = hello.highestEpoch.rawValue
            }
        }
        state.withLock { shared in
            shared.collectedAt = hello.inventory.sequence
            shared.heardAt = .now
            queue.yield(message)
            for held in shared.held ?? [] where !held.isReport(before: shared.collectedAt) { queue.yield(held) }
            shared.held = nil
        }
    }

    /// Queues a message. One that finds the queue full ends the session: nothing may be missing from its middle.
    func send(_ message: WireAgentMessage) {
        let full = state.withLock { shared -> Bool in
            // A report that is older than the hello would look new in this session.
            if message.isReport(before: shared.collectedAt) { return false }
            guard shared.held == nil else {
                shared.held?.append(message)
                return false
            }
            if case .dropped = queue.yield(message) { return true }
            return false
        }
        if full { end(.lost("the server does not take this host's messages")) }
    }

    func send(outcome: CommandOutcome, of id: CommandID) {
        send(
            .with {
                $0.commandOutcome = .with {
                    $0.id = id.rawValue
                    $0.outcome = WireOutcome(outcome)
                }
            })
    }

    func send(_ report: AgentReport) {
        switch report {
        case .domainChanged(let vm, let epoch, let domain, let sequence):
            let change = WireDomainChanged(vm: vm, epoch: epoch, state: domain, sequence: sequence)
            send(.with { $0.domainChanged = change })
        case .inventory(let inventory):
            send(.with { $0.inventory = .with { $0.inventory = WireInventory(inventory) } })
        case .lostSight: send(.with { $0.lostSight = WireLostSight() })
        case .migrationProgress(let vm, let epoch, let progress):
            send(.with { $0.migrationProgress = WireMigrationProgress(vm, epoch, progress) })
        case .helloDue: end(.lost("libvirt tells by now what this host is, so the next session says it"))
        }
    }

    // MARK: Listening

    /// Takes in one message of the server.
    func receive(_ message: WireServerMessage) {
        state.withLock { $0.heardAt = .now }
        do {
            try handle(message)
        } catch {
            end(.refused(error.fault))
        }
    }

    private func handle(_ message: WireServerMessage) throws(UnreadableMessage) {
        switch message.kind {
        case .welcome(let welcome):
            state.withLock { $0.welcome = welcome }
            hear(welcome.point)
        case .refused(let fault): end(.refused(try Fault(reading: fault)))
        case .goodbye(let goodbye): end(.goodbye(goodbye.reason))
        case .command(let command): try runner.execute(command, on: self)
        case .settle(let settle): try settleCommand(settle)
        case .inventoryRequest(let request):
            let number = request.request
            runner.answer(self) { inbox in
                let inventory = await inbox.collectInventory()
                return .with {
                    $0.inventory = .with {
                        $0.request = number
                        $0.inventory = WireInventory(inventory)
                    }
                }
            }
        case .consoleRequest(let request): try readConsole(request)
        case .holdingsRequest(let request): tellHoldings(request)
        case .acknowledge(let acknowledge):
            let id: CommandID = try readID(acknowledge.id, "a command")
            runner.answer(self) { inbox in
                await inbox.acknowledge(id)
                return nil
            }
        case .ping(let ping):
            send(.with { $0.pong = .with { $0.nonce = ping.nonce } })
            hear(ping.point)
        case nil: throw UnreadableMessage("a message of an unknown kind")
        }
    }

    private func hear(_ point: Int64) {
        let isNews = state.withLock { shared in
            defer { shared.heard = max(shared.heard, point) }
            return point > shared.heard
        }
        guard isNews else { return }
        runner.answer(self) { inbox in
            await inbox.hear(RecordPoint(rawValue: point))
            return nil
        }
    }

    private func settleCommand(_ settle: WireSettle) throws(UnreadableMessage) {
        let id: CommandID = try readID(settle.id, "a command")
        runner.answer(self) { inbox in
            var settlement = WireSettlement()
            settlement.id = id.rawValue
            switch await inbox.settle(id) {
            case .ended(let outcome): settlement.ended = WireOutcome(outcome)
            case .neverReceived: settlement.neverReceived = WireNeverReceived()
            case .underWay: settlement.underWay = WireUnderWay()
            }
            let answer = settlement
            return .with { $0.settlement = answer }
        }
    }

    private func readConsole(_ request: WireConsoleRequest) throws(UnreadableMessage) {
        let vm: VMID = try readID(request.vm, "the console's VM")
        let number = request.request
        let limit = Int(clamping: request.limit)
        runner.answer(self) { inbox in
            var log = WireConsoleLog()
            log.request = number
            do throws(Fault) {
                log.log = .init(try await inbox.consoleLog(of: vm, limit: limit))
            } catch {
                log.fault = WireFault(error)
            }
            let answer = log
            return .with { $0.consoleLog = answer }
        }
    }

    private func tellHoldings(_ request: WireHoldingsRequest) {
        let number = request.request
        runner.answer(self) { inbox in
            var report = WireHoldingsReport()
            report.request = number
            do throws(Fault) {
                report.held = WireHoldings(try await inbox.collectHoldings())
            } catch {
                report.fault = WireFault(error)
            }
            let answer = report
            return .with { $0.holdings = answer }
        }
    }

    // MARK: Ending

    /// Ends the session; the first reason stands.
    func end(_ end: End) {
        let waiter = state.withLock { shared -> CheckedContinuation<Void, Never>? in
            guard shared.end == nil else { return nil }
            shared.end = end
            defer { shared.endWaiter = nil }
            return shared.endWaiter
        }
        queue.finish()
        waiter?.resume()
    }

    /// Returns how the session ended, once it has. One caller.
    func awaitEnd() async -> End {
        await withCheckedContinuation { waiter in
            let ended = state.withLock { shared -> Bool in
                guard shared.end == nil else { return true }
                shared.endWaiter = waiter
                return false
            }
            if ended { waiter.resume() }
        }
        return state.withLock { $0.end } ?? .stopping
    }

    /// Ends the session when no welcome came within `welcomeLimit`, and later when nothing was heard for as long as
    /// the welcome allows.
    func watch(welcomeLimit: Duration) async {
        let dialled = ContinuousClock.now
        while true {
            let (welcome, heardAt) = state.withLock { ($0.welcome, $0.heardAt) }
            let limit = welcome.map { Duration.milliseconds(Int64($0.silenceLimitMs)) } ?? welcomeLimit
            let deadline = (welcome == nil ? dialled : heardAt) + limit
            guard deadline > .now else {
                return end(
                    .lost(welcome == nil ? "no welcome came in time" : "nothing was heard from the server"))
            }
            // Wakes early while there is no welcome, which brings a shorter limit.
            let wake = welcome == nil ? min(deadline, .now + .seconds(1)) : deadline
            guard (try? await Task.sleep(until: wake, clock: .continuous)) != nil else { return }
        }
    }
}

extension WireAgentMessage {
    /// Whether it is a report that was collected at `count` or before.
    fileprivate func isReport(before count: Int64) -> Bool {
        switch kind {
        case .domainChanged(let change): change.sequence <= count
        case .inventory(let report): !report.hasRequest && report.inventory.sequence <= count
        case .hello, .commandOutcome, .settlement, .lostSight, .consoleLog, .pong, .migrationProgress, .holdings, nil:
            false
        }
    }
}
