import AgentContract
import Domain

/// What a session has to say and whom it owes an answer: a value, changed under the session's lock.
struct SessionState {
    private(set) var phase = Phase.open
    private var outbox: [Outgoing] = []
    private var exchanges: [UInt64: Exchange] = [:]
    private var lastTicket: UInt64 = 0

    enum Phase {
        case open
        /// The outbox ends with the last words; nothing is added.
        case closing(String)
        case ended(String)
    }

    struct Outgoing {
        let message: WireServerMessage
        let ticket: UInt64?
    }

    /// What the writer does next.
    enum Next {
        case write(WireServerMessage)
        case wait
        case stop
    }

    var isOpen: Bool {
        switch phase {
        case .open: true
        case .closing, .ended: false
        }
    }

    /// Whether the writer has something to do.
    var hasWork: Bool { !outbox.isEmpty || !isOpen }

    mutating func ticket() -> UInt64 {
        lastTicket += 1
        return lastTicket
    }

    /// Queues a message that nobody waits for. False when the session takes no more.
    mutating func post(_ message: WireServerMessage) -> Bool {
        guard isOpen else { return false }
        outbox.append(Outgoing(message: message, ticket: nil))
        return true
    }

    /// Queues the question `ticket`, or says why it is not sent.
    mutating func ask(
        _ message: WireServerMessage, _ subject: Exchange.Subject, ticket: UInt64, limit: Int,
        waiter: CheckedContinuation<Exchange.Reply, Never>
    ) -> Fault? {
        switch phase {
        case .open: break
        case .closing(let reason), .ended(let reason): return .sessionOver(reason)
        }
        guard exchanges.count < limit else { return .tooManyCommands }
        exchanges[ticket] = Exchange(subject: subject, waiter: waiter)
        outbox.append(Outgoing(message: message, ticket: ticket))
        return nil
    }

    /// The next message for the stream. From here on its command counts as sent.
    mutating func next() -> Next {
        if !outbox.isEmpty {
            let outgoing = outbox.removeFirst()
            if let ticket = outgoing.ticket { exchanges[ticket]?.handedOver = true }
            return .write(outgoing.message)
        }
        return isOpen ? .wait : .stop
    }

    /// Gives the exchange up: its waiter, and whether the message can still have an effect.
    mutating func giveUp(_ ticket: UInt64) -> (waiter: CheckedContinuation<Exchange.Reply, Never>, sent: Bool)? {
        guard let exchange = exchanges.removeValue(forKey: ticket) else { return nil }
        if !exchange.handedOver { outbox.removeAll { $0.ticket == ticket } }
        return (exchange.waiter, exchange.handedOver)
    }

    /// Everybody who waits for one of `subjects`.
    mutating func take(_ subjects: Set<Exchange.Subject>) -> [CheckedContinuation<Exchange.Reply, Never>] {
        let tickets = exchanges.filter { subjects.contains($0.value.subject) }.keys
        return tickets.compactMap { giveUp($0)?.waiter }
    }

    /// Lets the writer finish with `lastWords`; what was not handed over until now never will be.
    mutating func close(_ reason: String, with lastWords: WireServerMessage) -> [Exchange] {
        guard isOpen else { return [] }
        phase = .closing(reason)
        outbox = [Outgoing(message: lastWords, ticket: nil)]
        let unsent = exchanges.filter { !$0.value.handedOver }
        for ticket in unsent.keys { exchanges[ticket] = nil }
        return Array(unsent.values)
    }

    /// Ends everything; returns who is left without an answer, or nil if it had ended before.
    mutating func end(_ reason: String) -> [Exchange]? {
        if case .ended = phase { return nil }
        phase = .ended(reason)
        outbox = []
        defer { exchanges = [:] }
        return Array(exchanges.values)
    }
}

extension Fault {
    static func sessionOver(_ reason: String) -> Fault {
        Fault(
            .unavailable, .hostUnreachable, "The host's agent is not connected: \(reason).",
            hint: "Check that roost-agent runs on the host and reaches this server.")
    }

    static let tooManyCommands = Fault(
        .unavailable, .hostUnreachable, "Too many commands are under way on this host.", hint: "Try again shortly.")

    static func noAnswer(_ why: String) -> Fault {
        Fault(
            .unavailable, .outcomeUnknown, "The command was sent and its outcome is not known: \(why).",
            hint: "It is settled when the host answers again.")
    }
}
