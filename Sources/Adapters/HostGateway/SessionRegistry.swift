import AgentContract
package import ControlPlane
package import Domain
import Synchronization

/// The live sessions of agents with this node.
package final class SessionRegistry: HostSessions {
    private let settings: GatewaySettings
    private let state = Mutex(Shared())
    /// One hello of a host is decided at a time.
    let turns = HostTurns()

    /// How far the records have come, as this node knows.
    private let point = Mutex(RecordPoint.none)

    private struct Shared {
        var sessions: [HostID: Session] = [:]
        var draining: String?
    }

    package init(settings: GatewaySettings = GatewaySettings()) { self.settings = settings }

    // MARK: HostSessions

    package func send(
        _ command: HostCommand, id: CommandID, to host: HostID, limit: Duration
    ) async -> CommandEnd {
        guard let session = session(of: host) else { return .notSent(.noSession) }
        var wire = WireCommand(command, id: id)
        wire.point = recordPoint.rawValue
        let told = wire
        let reply = await session.ask(.command(id), .with { $0.command = told }, limit: limit)
        switch reply {
        case .outcome(let outcome): return CommandEnd(outcome)
        case .notSent(let fault): return .notSent(fault)
        case .noAnswer(let fault): return .outcomeUnknown(fault)
        case .neverReceived, .inventory, .console, .pong, .holdings: return .outcomeUnknown(.wrongAnswer)
        }
    }

    package func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement {
        guard let session = session(of: host) else { return .unknown(.noSession) }
        let reply = await session.ask(
            .settle(id), .with { $0.settle = .with { $0.id = id.rawValue } }, limit: limit)
        switch reply {
        case .outcome(let outcome): return .ended(outcome)
        case .neverReceived: return .neverReceived
        case .notSent(let fault), .noAnswer(let fault): return .unknown(fault)
        case .inventory, .console, .pong, .holdings: return .unknown(.wrongAnswer)
        }
    }

    package func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory {
        guard let session = session(of: host) else { throw .noSession }
        return SessionInventory(
            session: session.number, inventory: try await inventory(of: session, limit: limit))
    }

    /// Asks the agent at the other end of `session`, and no other.
    func inventory(of session: Session, limit: Duration) async throws(Fault) -> Inventory {
        let request = session.freshNumber()
        let reply = await session.ask(
            .inventory(request), .with { $0.inventoryRequest = .with { $0.request = request } }, limit: limit)
        switch reply {
        case .inventory(let inventory): return inventory
        case .notSent(let fault): throw fault
        case .noAnswer: throw .questionUnanswered
        case .outcome, .neverReceived, .console, .pong, .holdings: throw .wrongAnswer
        }
    }

    package func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8] {
        guard let session = session(of: host) else { throw .noSession }
        let request = session.freshNumber()
        let bytes = Int64(min(max(limit, 0), settings.consoleBytes))
        let message = WireServerMessage.with {
            $0.consoleRequest = .with {
                $0.request = request
                $0.vm = vm.rawValue
                $0.limit = bytes
            }
        }
        switch await session.ask(.console(request), message, limit: settings.consoleLimit) {
        case .console(.success(let log)): return log
        case .console(.failure(let fault)): throw fault
        case .notSent(let fault): throw fault
        case .noAnswer: throw .questionUnanswered
        case .outcome, .neverReceived, .inventory, .pong, .holdings: throw .wrongAnswer
        }
    }

    package func holdings(of host: HostID, limit: Duration) async throws(Fault) -> HostHoldings {
        guard let session = session(of: host) else { throw .noSession }
        let request = session.freshNumber()
        let reply = await session.ask(
            .holdings(request), .with { $0.holdingsRequest = .with { $0.request = request } }, limit: limit)
        switch reply {
        case .holdings(.success(let holdings)): return holdings
        case .holdings(.failure(let fault)): throw fault
        case .notSent(let fault): throw fault
        case .noAnswer: throw .questionUnanswered
        case .outcome, .neverReceived, .inventory, .console, .pong: throw .wrongAnswer
        }
    }

    package func disconnect(_ host: HostID, reason: String) async {
        guard let session = session(of: host) else { return }
        session.sayGoodbye(reason)
        _ = await session.awaitEnd()
    }

    package func disconnectAll(reason: String) async {
        let sessions = state.withLock { Array($0.sessions.values) }
        for session in sessions { session.sayGoodbye(reason) }
        for session in sessions { _ = await session.awaitEnd() }
    }

    package func endOvertaken(_ current: @Sendable () async throws -> [HostID: Int64]) async throws {
        // Looked at before the records: what begins meanwhile is not among them.
        let sessions = state.withLock { Array($0.sessions.values) }
        if sessions.isEmpty { return }
        let known = try await current()
        for session in sessions where known[session.host] != session.number {
            session.sayGoodbye("another session of its agent took its place")
        }
    }

    package func note(_ point: RecordPoint) async { advance(to: point) }

    // MARK: Beyond the port

    /// The records have come as far as `point`, at least.
    func advance(to point: RecordPoint) { self.point.withLock { $0 = max($0, point) } }

    /// The event `id` is durably recorded.
    package func note(event id: Int64) {
        point.withLock { $0 = max($0, RecordPoint(generation: $0.generation, event: id)) }
    }

    var recordPoint: RecordPoint { point.withLock { $0 } }

    /// Lets the agent forget the end of command `id`. Call it once that end is durably recorded, never before; a lost
    /// acknowledgement only costs the agent a line in its journal.
    package func acknowledge(_ id: CommandID, on host: HostID) {
        session(of: host)?.post(.with { $0.acknowledge = .with { $0.id = id.rawValue } })
    }

    /// The number of live sessions.
    package var count: Int { state.withLock { $0.sessions.count } }

    // MARK: The gateway's side

    func session(of host: HostID) -> Session? { state.withLock { $0.sessions[host] } }

    /// Makes `session` the one that commands to its host go to; nil, or why this node takes none.
    func register(_ session: Session) -> String? {
        state.withLock { shared in
            if let reason = shared.draining { return reason }
            shared.sessions[session.host] = session
            return nil
        }
    }

    /// Takes `session` out, unless another has taken its place.
    func remove(_ session: Session) {
        state.withLock { shared in
            guard shared.sessions[session.host] === session else { return }
            shared.sessions[session.host] = nil
        }
    }

    /// Takes leave of all agents and admits no more.
    func drain(_ reason: String) {
        let sessions = state.withLock { shared in
            shared.draining = reason
            return Array(shared.sessions.values)
        }
        for session in sessions { session.sayGoodbye(reason) }
    }
}

extension Fault {
    static let noSession = Fault(
        .unavailable, .hostUnreachable, "The host's agent is not connected.",
        hint: "Check that roost-agent runs on the host and reaches this server.")

    static let questionUnanswered = Fault(
        .unavailable, .hostUnreachable, "The host's agent did not answer in time.", hint: "Try again shortly.")

    static let wrongAnswer = Fault(
        .bug, .internalError, "The host's agent answered another question than was asked.")
}
