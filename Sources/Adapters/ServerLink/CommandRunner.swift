import AgentContract
import Domain
import HostAgent
import Logging
import Synchronization

/// Runs what the server asks for, each in its own task, beyond the session that brought it.
final class CommandRunner: Sendable {
    private let inbox: any AgentInbox
    private let limit: Int
    private let state = Mutex(Shared())

    private struct Shared {
        var underWay: [Int: Task<Void, Never>?] = [:]
        var started = 0
        var taking = true
        var link: LinkSession?
        var idleWaiters: [CheckedContinuation<Void, Never>] = []
    }

    init(inbox: any AgentInbox, limit: Int) {
        self.inbox = inbox
        self.limit = limit
    }

    /// The session that outcomes and reports go to; nil while there is none.
    var link: LinkSession? {
        get { state.withLock { $0.link } }
        set { state.withLock { $0.link = newValue } }
    }

    /// Takes no more commands: one that arrives now is as if it had never been received.
    func stopTaking() { state.withLock { $0.taking = false } }

    /// Cancels what is under way. Does not wait for it: a hypervisor that hangs must not keep the agent from ending,
    /// and the journal tells the next agent what was begun.
    func cancelAll() {
        stopTaking()
        for task in state.withLock({ Array($0.underWay.values) }) { task?.cancel() }
    }

    /// Returns when no command is under way, at the latest after `limit`.
    func idle(limit: Duration) async {
        let timer = Task {
            try await Task.sleep(for: limit)
            resumeIdleWaiters()
        }
        defer { timer.cancel() }
        await withCheckedContinuation { waiter in
            let idle = state.withLock { shared in
                if !shared.underWay.isEmpty { shared.idleWaiters.append(waiter) }
                return shared.underWay.isEmpty
            }
            if idle { waiter.resume() }
        }
    }

    /// Executes the command and sends its outcome on the session that is there by then; without one the server asks.
    func execute(_ wire: WireCommand, on link: LinkSession) throws(UnreadableMessage) {
        let id: CommandID = try readID(wire.id, "a command")
        let command: HostCommand
        do {
            command = try HostCommand(reading: wire)
        } catch {
            link.send(outcome: .rejected(error.fault), of: id)
            return
        }
        let point = RecordPoint(rawValue: wire.point)
        let started = start { [self] in
            await inbox.hear(point)
            // Broken off: the agent ends, and the next one is asked.
            guard let outcome = try? await inbox.execute(command, id: id) else { return }
            self.link?.send(outcome: outcome, of: id)
        }
        if started == .full { link.send(outcome: .rejected(.tooManyCommands), of: id) }
    }

    /// Answers one question; `link` is the session that asked.
    func answer(_ link: LinkSession, _ question: @escaping @Sendable (any AgentInbox) async -> WireAgentMessage?) {
        // A question that is not taken goes unanswered, and the server's limit ends it.
        _ = start { [inbox] in
            if let reply = await question(inbox) { link.send(reply) }
        }
    }

    private enum Start { case started, stopping, full }

    private func start(_ job: @escaping @Sendable () async -> Void) -> Start {
        let (start, number) = state.withLock { shared -> (Start, Int) in
            guard shared.taking else { return (.stopping, 0) }
            guard shared.underWay.count < limit else { return (.full, 0) }
            shared.started += 1
            shared.underWay[shared.started] = .some(nil)
            return (.started, shared.started)
        }
        guard start == .started else { return start }
        let task = Task {
            await job()
            finished(number)
        }
        // The job may have finished already.
        state.withLock { shared in
            if shared.underWay[number] != nil { shared.underWay[number] = .some(task) }
        }
        return start
    }

    private func finished(_ number: Int) {
        let idle = state.withLock { shared in
            shared.underWay[number] = nil
            return shared.underWay.isEmpty
        }
        if idle { resumeIdleWaiters() }
    }

    private func resumeIdleWaiters() {
        let waiters = state.withLock { shared in
            defer { shared.idleWaiters = [] }
            return shared.idleWaiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

extension Fault {
    static let tooManyCommands = Fault(
        .unavailable, .commandFailed, "Too many commands are under way on this host.", hint: "Try again shortly.")
}
