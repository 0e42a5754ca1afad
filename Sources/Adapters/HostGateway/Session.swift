import AgentContract
import ControlPlane
import Domain
import Synchronization

/// One agent's stream, from its opening to its end.
///
/// Any number of tasks ask; one reads, one writes, and one hands the reports to the observer. None waits for another.
final class Session: Sendable {
    let host: HostID
    private let settings: GatewaySettings
    /// How far the records have come.
    private let point: @Sendable () -> RecordPoint
    private let state = Mutex(Shared())
    private let hello = OneShot<WireHello?>()
    private let over = OneShot<String>()
    private let reportQueue = AsyncStream<Report>.makeStream()

    /// What the agent tells by itself.
    enum Report: Sendable {
        case inventory(Inventory)
        case change(DomainChange)
        case lostSight
        case progress(VMID, Epoch, MigrationProgress)
    }

    private struct Shared {
        var core = SessionState()
        var writer: CheckedContinuation<Void, Never>?
        var heardAt = ContinuousClock.now
        var saidHello = false
        var instance = ""
        var number: Int64 = 0
        var waitingReports = 0
    }

    init(host: HostID, settings: GatewaySettings, point: @escaping @Sendable () -> RecordPoint = { .none }) {
        self.host = host
        self.settings = settings
        self.point = point
    }

    /// The id of the agent's process; empty before the hello.
    var instance: String { state.withLock { $0.instance } }

    /// The session's number; 0 before it was granted.
    var number: Int64 { state.withLock { $0.number } }

    var isOpen: Bool { state.withLock { $0.core.isOpen } }

    /// Everything that the agent tells by itself, in its order; ends with the session.
    var reports: AsyncStream<Report> { reportQueue.stream }

    // MARK: Opening

    /// The agent's hello, or nil when the session ended without one.
    func awaitHello() async -> WireHello? { await hello.value() }

    /// Sends the welcome: commands may follow it.
    func welcome(_ grant: SessionGrant, sessions: Int) {
        var welcome = WireWelcome()
        welcome.session = grant.session
        welcome.point = grant.point.rawValue
        welcome.pingIntervalMs = UInt32(clamping: settings.pingInterval.wholeMilliseconds)
        welcome.silenceLimitMs = UInt32(clamping: settings.silenceLimit.wholeMilliseconds)
        welcome.redialSpreadMs = UInt32(clamping: (settings.redialSpreadPerSession * sessions).wholeMilliseconds)
        state.withLock { $0.number = grant.session }
        post(.with { $0.welcome = welcome })
    }

    // MARK: Ending

    /// Ends the session at once.
    func end(_ reason: String) {
        let (lost, writer) = state.withLock { shared -> ([Exchange]?, CheckedContinuation<Void, Never>?) in
            let lost = shared.core.end(reason)
            defer { shared.writer = nil }
            return (lost, shared.writer)
        }
        writer?.resume()
        guard let lost else { return }
        for exchange in lost {
            exchange.waiter.resume(
                returning: exchange.handedOver ? .noAnswer(.noAnswer(reason)) : .notSent(.sessionOver(reason)))
        }
        hello.set(nil)
        reportQueue.continuation.finish()
        over.set(reason)
    }

    /// Tells the agent why there is no session, or no longer, and ends it.
    func refuse(_ fault: Fault) {
        close("it was refused: \(fault.code.rawValue)", with: .with { $0.refused = WireFault(fault) })
    }

    /// Takes leave of an agent that did nothing wrong; it dials again.
    func sayGoodbye(_ reason: String) {
        close(reason, with: .with { $0.goodbye = .with { $0.reason = reason } })
    }

    /// The reason for the end, once it has come.
    func awaitEnd() async -> String { await over.value() }

    private func close(_ reason: String, with lastWords: WireServerMessage) {
        let (unsent, writer) = state.withLock { shared in
            let unsent = shared.core.close(reason, with: lastWords)
            defer { shared.writer = nil }
            return (unsent, shared.writer)
        }
        writer?.resume()
        for exchange in unsent { exchange.waiter.resume(returning: .notSent(.sessionOver(reason))) }
        // The writer ends the session after the last words; this is for an agent that does not take them.
        Task {
            try? await Task.sleep(for: settings.goodbyeLimit)
            end(reason)
        }
    }

    // MARK: Writing

    /// Queues a message that nobody waits for.
    func post(_ message: WireServerMessage) {
        let writer = state.withLock { shared -> CheckedContinuation<Void, Never>? in
            guard shared.core.post(message) else { return nil }
            defer { shared.writer = nil }
            return shared.writer
        }
        writer?.resume()
    }

    /// The next message for the stream, nil after the last one. One caller.
    func nextMessage() async -> WireServerMessage? {
        while true {
            switch state.withLock({ $0.core.next() }) {
            case .write(let message): return message
            case .stop:
                end(closingReason)
                return nil
            case .wait: await waitForMessage()
            }
        }
    }

    private func waitForMessage() async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { shared -> Bool in
                // Something may have been queued since the writer looked.
                guard shared.core.hasWork == false else { return true }
                shared.writer = continuation
                return false
            }
            if ready { continuation.resume() }
        }
    }

    private var closingReason: String {
        state.withLock { shared in
            switch shared.core.phase {
            case .open: "the stream ended"
            case .closing(let reason), .ended(let reason): reason
            }
        }
    }

    // MARK: Asking

    /// Asks `message` and waits for the answer about `subject`, at most `limit`.
    func ask(
        _ subject: Exchange.Subject, _ message: WireServerMessage, limit: Duration
    ) async -> Exchange.Reply {
        let ticket = state.withLock { $0.core.ticket() }
        // A busy agent must still be able to prove that it lives.
        let most = if case .ping = subject { Int.max } else { settings.commandLimit }
        let timer = Task {
            try await Task.sleep(for: limit)
            giveUp(ticket, "no answer came within \(limit.wholeMilliseconds) ms")
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let (refusal, writer) = state.withLock { shared in
                    let refusal = shared.core.ask(
                        message, subject, ticket: ticket, limit: most, waiter: waiter)
                    defer { shared.writer = nil }
                    return (refusal, shared.writer)
                }
                writer?.resume()
                if let refusal {
                    waiter.resume(returning: .notSent(refusal))
                } else if Task.isCancelled {
                    giveUp(ticket, "the request was cancelled")
                }
            }
        } onCancel: {
            giveUp(ticket, "the request was cancelled")
        }
    }

    /// A number for a question that this session asked no other under.
    func freshNumber() -> UInt64 { state.withLock { $0.core.ticket() } }

    private func giveUp(_ ticket: UInt64, _ why: String) {
        guard let (waiter, sent) = state.withLock({ $0.core.giveUp(ticket) }) else { return }
        waiter.resume(returning: sent ? .noAnswer(.noAnswer(why)) : .notSent(.sessionOver(why)))
    }

    private func answer(_ subjects: Set<Exchange.Subject>, _ reply: Exchange.Reply) -> Bool {
        let waiters = state.withLock { $0.core.take(subjects) }
        for waiter in waiters { waiter.resume(returning: reply) }
        return !waiters.isEmpty
    }

    // MARK: Keepalive

    /// Pings until the session ends, and ends it once nothing was heard for the silence limit.
    func keepAlive() async {
        while isOpen {
            let silence = state.withLock { $0.heardAt }.duration(to: .now)
            if silence >= settings.silenceLimit {
                end("nothing was heard from it for \(silence.wholeMilliseconds) ms")
                return
            }
            if state.withLock({ $0.saidHello && !$0.core.hasWork }) {
                let point = point()
                post(.with { $0.ping = .with { $0.point = point.rawValue } })
            }
            let wait = min(settings.pingInterval, settings.silenceLimit - silence)
            guard (try? await Task.sleep(for: wait)) != nil else { return }
        }
    }

    /// Whether the agent at the other end answers right now.
    func answersPing() async -> Bool {
        let nonce = freshNumber()
        let reply = await ask(
            .ping(nonce), .with { $0.ping = .with { $0.nonce = nonce } }, limit: settings.rivalLimit)
        if case .pong = reply { return true }
        return false
    }

    // MARK: Receiving

    /// Takes in one message of the agent; throws when it cannot be read, which ends the session.
    func receive(_ message: WireAgentMessage) throws(UnreadableMessage) {
        let first = state.withLock { shared -> Bool in
            shared.heardAt = .now
            defer { shared.saidHello = true }
            return !shared.saidHello
        }
        if case .hello(let hello)? = message.kind {
            guard first else { throw UnreadableMessage("a second hello") }
            state.withLock { $0.instance = hello.instance }
            self.hello.set(hello)
            return
        }
        guard !first else { throw UnreadableMessage("a session that does not begin with a hello") }
        switch message.kind {
        case .commandOutcome(let outcome): try receive(outcome)
        case .settlement(let settlement): try receive(settlement)
        case .inventory(let report): try receive(report)
        case .domainChanged(let change):
            let (vm, epoch, domain, sequence) = try change.read()
            enqueue(.change(DomainChange(vm: vm, epoch: epoch, state: domain, sequence: sequence)))
        case .lostSight: enqueue(.lostSight)
        case .migrationProgress(let wire):
            let (vm, epoch, progress) = try wire.read()
            enqueue(.progress(vm, epoch, progress))
        case .consoleLog(let log): try receive(log)
        case .holdings(let report): try receive(report)
        case .pong(let pong): _ = answer([.ping(pong.nonce)], .pong)
        case .hello, nil: throw UnreadableMessage("a message of an unknown kind")
        }
    }

    private func receive(_ message: WireCommandOutcome) throws(UnreadableMessage) {
        let id: CommandID = try readID(message.id, "a command")
        settle(id, message.outcome)
    }

    private func receive(_ message: WireSettlement) throws(UnreadableMessage) {
        let id: CommandID = try readID(message.id, "a command")
        switch message.kind {
        case .ended(let outcome): settle(id, outcome)
        case .neverReceived: _ = answer([.settle(id)], .neverReceived)
        // The outcome follows on this session; whoever asked goes on waiting for it.
        case .underWay: break
        case nil: throw UnreadableMessage("a settlement of an unknown kind")
        }
    }

    private func settle(_ id: CommandID, _ wire: WireOutcome) {
        let reply: Exchange.Reply
        do {
            reply = .outcome(try CommandOutcome(reading: wire))
        } catch {
            // Something happened on the host, and this node cannot read what: that is no known end.
            reply = .noAnswer(error.fault)
        }
        _ = answer([.command(id), .settle(id)], reply)
    }

    private func receive(_ report: WireInventoryReport) throws(UnreadableMessage) {
        let inventory = try Inventory(reading: report.inventory)
        if report.hasRequest, answer([.inventory(report.request)], .inventory(inventory)) { return }
        enqueue(.inventory(inventory))
    }

    private func receive(_ log: WireConsoleLog) throws(UnreadableMessage) {
        switch log.answer {
        case .log(let bytes): _ = answer([.console(log.request)], .console(.success(Array(bytes))))
        case .fault(let fault):
            let fault = try Fault(reading: fault)
            _ = answer([.console(log.request)], .console(.failure(fault)))
        case nil: throw UnreadableMessage("a console log of an unknown kind")
        }
    }

    private func receive(_ report: WireHoldingsReport) throws(UnreadableMessage) {
        let answer: Result<HostHoldings, Fault>
        switch report.answer {
        case .held(let held): answer = .success(try HostHoldings(reading: held))
        case .fault(let fault): answer = .failure(try Fault(reading: fault))
        case nil: throw UnreadableMessage("holdings of an unknown kind")
        }
        _ = self.answer([.holdings(report.request)], .holdings(answer))
    }

    private func enqueue(_ report: Report) {
        let waiting = state.withLock { shared in
            shared.waitingReports += 1
            return shared.waitingReports
        }
        guard waiting <= settings.reportLimit else {
            end("its reports came faster than they could be recorded")
            return
        }
        reportQueue.continuation.yield(report)
    }

    /// The observer took one report.
    func reportTaken() { state.withLock { $0.waitingReports -= 1 } }
}
