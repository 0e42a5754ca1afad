package import ControlPlane
package import Domain
import HostAgent
import Logging
import Synchronization

/// A management server's process: the whole control plane on the records, and its agents' sessions.
package final class Server: HostSessions {
    private struct State {
        var sessions: [HostID: Open] = [:]
        var questions: UInt64 = 0
    }

    /// A session as the server sees it.
    private final class Open: Sendable {
        let connection: Connection
        let number: Int64
        let outcomes = Mutex<[CommandID: Answer<CommandOutcome>]>([:])
        let settlements = Mutex<[CommandID: Answer<AgentSettlement>]>([:])
        let inventories = Mutex<[UInt64: Answer<Inventory>]>([:])
        let holdings = Mutex<[UInt64: Answer<Result<HostHoldings, Fault>>]>([:])

        init(_ connection: Connection, _ number: Int64) {
            (self.connection, self.number) = (connection, number)
        }

        func giveUp() {
            for answer in outcomes.withLock({ $0 }).sorted(by: { $0.key < $1.key }) { answer.value.giveUp() }
            for answer in settlements.withLock({ $0 }).sorted(by: { $0.key < $1.key }) { answer.value.giveUp() }
            for answer in inventories.withLock({ $0 }).sorted(by: { $0.key < $1.key }) { answer.value.giveUp() }
            for answer in holdings.withLock({ $0 }).sorted(by: { $0.key < $1.key }) { answer.value.giveUp() }
        }
    }

    package let process: Process
    private let time: SimulatedTime
    private let context: Mutex<Context?> = Mutex(nil)
    private let state = Mutex(State())

    init(_ process: Process, _ time: SimulatedTime) {
        self.process = process
        self.time = time
    }

    /// The control plane, once the server has started.
    package var control: Context? { process.isDead ? nil : context.withLock { $0 } }

    func run(_ control: Context) async {
        let nodes = NodeService(control, isAlone: true)
        guard (try? await nodes.join()) != nil else { return }
        context.withLock { $0 = control }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await nodes.run() }
            group.addTask { try? await JobEngine(control).run() }
        }
    }

    // MARK: Sessions

    /// Serves one agent until its connection ends.
    func serve(_ machine: Machine, _ connection: Connection) async {
        var words = connection.toServer.makeAsyncIterator()
        guard let control, case .hello(let content)? = await words.next() else { return connection.endAtServer() }
        let observer = HostSessionService(control)
        let hello = AgentHello(
            host: machine.id, instance: content.instance, facts: content.facts,
            heard: content.heard, highestEpoch: content.highestEpoch)
        do {
            let grant = try await observer.open(hello)
            let open = Open(connection, grant.session)
            let rival = state.withLock { state in
                defer { state.sessions[machine.id] = open }
                return state.sessions[machine.id]
            }
            rival?.giveUp()
            rival?.connection.endAtServer()
            connection.say(.welcome)
            let asked = question()
            connection.say(.inventory(asked))
            // What is reported before the inventory is told after it, as the gateway does.
            var early: [AgentWord]? = []
            while let word = await words.next() {
                if case .inventory(asked, let inventory) = word {
                    try await observer.established(grant, hello: hello, inventory: inventory)
                    for report in early ?? [] { try await hear(report, from: machine.id, open, observer) }
                    early = nil
                } else if case .report = word, early != nil {
                    early?.append(word)
                } else {
                    try await hear(word, from: machine.id, open, observer)
                }
            }
        } catch {
            control.logger.warning("a session was refused", metadata: ["error": "\(error)"])
        }
        connection.endAtServer()
        await close(machine.id, connection, observer)
    }

    private func close(_ host: HostID, _ connection: Connection, _ observer: HostSessionService) async {
        let closed = state.withLock { state -> Open? in
            guard let open = state.sessions[host], open.connection === connection else { return nil }
            state.sessions[host] = nil
            return open
        }
        closed?.giveUp()
        if let closed { try? await observer.closed(host, session: closed.number, reason: "the connection ended") }
    }

    private func hear(
        _ word: AgentWord, from host: HostID, _ open: Open, _ observer: HostSessionService
    ) async throws {
        switch word {
        case .hello: break
        case .outcome(let id, let outcome): open.outcomes.withLock { $0.removeValue(forKey: id) }?.give(outcome)
        case .settlement(let id, let end): open.settlements.withLock { $0.removeValue(forKey: id) }?.give(end)
        case .inventory(let number, let inventory):
            open.inventories.withLock { $0.removeValue(forKey: number) }?.give(inventory)
        case .holdings(let number, let held):
            open.holdings.withLock { $0.removeValue(forKey: number) }?.give(held)
        case .report(let report):
            switch report {
            case .domainChanged(let vm, let epoch, let domain, let sequence):
                try await observer.received(
                    DomainChange(vm: vm, epoch: epoch, state: domain, sequence: sequence), from: host,
                    session: open.number)
            case .inventory(let inventory):
                try await observer.received(inventory, from: host, session: open.number)
            case .lostSight: try await observer.lostSight(of: host, session: open.number)
            case .migrationProgress(let vm, let epoch, let progress):
                try await observer.received(progress, of: vm, epoch, from: host, session: open.number)
            case .helloDue: open.connection.endAtServer()
            }
        }
    }

    private func session(of host: HostID) -> Open? {
        state.withLock { $0.sessions[host] }.flatMap { $0.connection.isOpenAtServer ? $0 : nil }
    }

    // MARK: HostSessions

    private static let notConnected = Fault(.unavailable, .hostUnreachable, "The host is not connected.")
    private static let noAnswer = Fault(.unavailable, .outcomeUnknown, "The host did not answer.")

    package func send(
        _ command: HostCommand, id: CommandID, to host: HostID, limit: Duration
    ) async -> CommandEnd {
        guard let open = session(of: host) else { return .notSent(Self.notConnected) }
        let answer = Answer<CommandOutcome>(process)
        open.outcomes.withLock { $0[id] = answer }
        open.connection.say(.command(command, id, .none))
        return await answer.wait(atMost: limit, time).map { CommandEnd($0) } ?? .outcomeUnknown(Self.noAnswer)
    }

    package func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement {
        let deadline = time.monotonic() + limit
        while let open = session(of: host), time.monotonic() < deadline {
            let answer = Answer<AgentSettlement>(process)
            open.settlements.withLock { $0[id] = answer }
            open.connection.say(.settle(id))
            switch await answer.wait(atMost: deadline - time.monotonic(), time) {
            case .ended(let outcome)?: return .ended(outcome)
            case .neverReceived?: return .neverReceived
            case .underWay?: try? await time.sleep(for: .milliseconds(500))
            case nil: return .unknown(Self.noAnswer)
            }
        }
        return .unknown(Self.notConnected)
    }

    package func acknowledge(_ id: CommandID, on host: HostID) async {
        session(of: host)?.connection.say(.acknowledge(id))
    }

    package func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory {
        guard let open = session(of: host) else { throw Self.notConnected }
        let (number, answer) = (question(), Answer<Inventory>(process))
        open.inventories.withLock { $0[number] = answer }
        open.connection.say(.inventory(number))
        guard let inventory = await answer.wait(atMost: limit, time) else { throw Self.noAnswer }
        return SessionInventory(session: open.number, inventory: inventory)
    }

    package func holdings(of host: HostID, limit: Duration) async throws(Fault) -> HostHoldings {
        guard let open = session(of: host) else { throw Self.notConnected }
        let (number, answer) = (question(), Answer<Result<HostHoldings, Fault>>(process))
        open.holdings.withLock { $0[number] = answer }
        open.connection.say(.holdings(number))
        guard let held = await answer.wait(atMost: limit, time) else { throw Self.noAnswer }
        return try held.get()
    }

    package func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8] { [] }

    package func disconnect(_ host: HostID, reason: String) async { session(of: host)?.connection.endAtServer() }

    package func disconnectAll(reason: String) async {
        for (_, open) in state.withLock({ $0.sessions }).sorted(by: { $0.key < $1.key }) {
            open.connection.endAtServer()
        }
    }

    private func question() -> UInt64 {
        state.withLock { state in
            state.questions += 1
            return state.questions
        }
    }
}
