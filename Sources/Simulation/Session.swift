import ControlPlane
import Domain
import HostAgent
import Synchronization

/// What an agent says in a session.
enum AgentWord: Sendable {
    case hello(HelloContent)
    case outcome(CommandID, CommandOutcome)
    case settlement(CommandID, AgentSettlement)
    case inventory(UInt64, Inventory)
    case holdings(UInt64, Result<HostHoldings, Fault>)
    case report(AgentReport)
}

/// What a server says in a session.
enum ServerWord: Sendable {
    case welcome
    case command(HostCommand, CommandID, RecordPoint)
    case settle(CommandID)
    case acknowledge(CommandID)
    case inventory(UInt64)
    case holdings(UInt64)
}

/// A connection between an agent and a server: what is sent arrives in order, later, or not at all.
///
/// While the host is cut off everything waits. If that takes too long, or a process dies, the connection ends: at each end at a
/// moment of its own.
final class Connection: Sendable {
    private struct End<Word: Sendable>: Sendable {
        var isOpen = true
        var latest: Duration = .zero
        var inbox: AsyncStream<Word>.Continuation
    }

    private struct State {
        var server: End<AgentWord>
        var agent: End<ServerWord>
    }

    let toServer: AsyncStream<AgentWord>
    let toAgent: AsyncStream<ServerWord>
    private let machine: Machine
    private let scheduler: Scheduler
    private let processes: [Process]
    private let state: Mutex<State>

    /// How long silence is borne.
    private static let silence: Duration = .seconds(5)

    init(_ machine: Machine, agent: Process, server: Process) {
        self.machine = machine
        scheduler = machine.scheduler
        processes = [agent, server]
        let up = AsyncStream.makeStream(of: AgentWord.self)
        let down = AsyncStream.makeStream(of: ServerWord.self)
        (toServer, toAgent) = (up.stream, down.stream)
        state = Mutex(State(server: End(inbox: up.continuation), agent: End(inbox: down.continuation)))
        watch(since: nil)
    }

    var isOpenAtServer: Bool { state.withLock { $0.server.isOpen } }

    private func watch(since silentFrom: Duration?) {
        scheduler.after(.seconds(1)) { [self] in
            guard state.withLock({ $0.server.isOpen || $0.agent.isOpen }) else { return }
            if processes.contains(where: \.isDead) { return endSoon() }
            let since = machine.isReachable ? nil : silentFrom ?? scheduler.now
            if let since, scheduler.now - since > Self.silence { return endSoon() }
            watch(since: since)
        }
    }

    private func endSoon() {
        scheduler.after(scheduler.milliseconds(1...3000)) { self.endAtServer() }
        scheduler.after(scheduler.milliseconds(1...3000)) { self.endAtAgent() }
    }

    func endAtServer() {
        state.withLock { state in
            state.server.isOpen = false
            return state.server.inbox
        }.finish()
        scheduler.after(scheduler.milliseconds(1...3000)) { self.endAtAgent() }
    }

    func endAtAgent() {
        state.withLock { state in
            state.agent.isOpen = false
            return state.agent.inbox
        }.finish()
        scheduler.after(scheduler.milliseconds(1...3000)) { self.endAtServerLate() }
    }

    private func endAtServerLate() {
        state.withLock { state in
            state.server.isOpen = false
            return state.server.inbox
        }.finish()
    }

    func say(_ word: ServerWord) {
        let due = state.withLock { state in
            state.agent.latest = max(state.agent.latest, scheduler.now + scheduler.milliseconds(1...60))
            return state.agent.latest
        }
        deliver(at: due) { [self] in
            state.withLock { $0.agent.isOpen ? $0.agent.inbox : nil }?.yield(word)
        }
    }

    func say(_ word: AgentWord) {
        let due = state.withLock { state in
            state.server.latest = max(state.server.latest, scheduler.now + scheduler.milliseconds(1...60))
            return state.server.latest
        }
        deliver(at: due) { [self] in
            state.withLock { $0.server.isOpen ? $0.server.inbox : nil }?.yield(word)
        }
    }

    /// In order: timers of one moment fire as they were set, and what waits out a cut waits for the same moments.
    private func deliver(at due: Duration, _ arrive: @escaping @Sendable () -> Void) {
        scheduler.after(due - scheduler.now) { [self] in
            guard machine.isReachable else { return held.add(arrive, self) }
            held.add(arrive, self)
            held.flush()
        }
    }

    private let held = Held()

    /// What has come as far as the cut.
    private final class Held: Sendable {
        private let waiting = Mutex<[@Sendable () -> Void]>([])

        func add(_ arrive: @escaping @Sendable () -> Void, _ connection: Connection) {
            let isFirst = waiting.withLock { waiting in
                waiting.append(arrive)
                return waiting.count == 1
            }
            if isFirst, !connection.machine.isReachable { connection.flushLater() }
        }

        func flush() {
            let arrived = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            for arrive in arrived { arrive() }
        }
    }

    private func flushLater() {
        scheduler.after(.milliseconds(200)) { [self] in
            guard state.withLock({ $0.server.isOpen || $0.agent.isOpen }) else { return }
            if machine.isReachable { held.flush() } else { flushLater() }
        }
    }
}
