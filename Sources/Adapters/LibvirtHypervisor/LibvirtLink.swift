import Domain
import HostAgent
import Synchronization

/// Watches libvirtd through one connection that carries events, opens a new one whenever it is lost, and lends further
/// connections to calls.
///
/// No two threads ever call on one connection: libvirt before 10.4 then uses a dead stack frame (CVE-2024-4418), and a
/// call that waits for one domain would hold up the others.
///
/// One thread of its own keeps the watching connection and judges events, so that what is told about connection and
/// domains is in one order. An attempt that hangs (a libvirtd that accepts and does not speak) stays the only one: it
/// ends when that libvirtd speaks or dies.
final class LibvirtLink: Sendable {
    private enum Phase: Sendable {
        case idle
        case connecting(since: Duration)
        case connected
        case down(String)
    }

    private enum Signal: Sendable {
        case notice(LifecycleNotice)
        case lost(String)
    }

    private struct State: Sendable {
        var phase = Phase.idle
        var isStarted = false
        var isClosed = false
        /// Attempts that have ended, for those who wait for the next one.
        var attempts = 0
        /// A caller needs the connection now.
        var isWanted = false
        /// The number of the present watching connection; signals of earlier ones are dropped.
        var generation = 0
        var signals: [Signal] = []
        /// Connections of the present generation that no call uses.
        var idle: [LibvirtConnection] = []
    }

    private let uri: String
    private let isLost: @Sendable (String) -> Void
    private let patience: Duration
    private let idleMax = 4
    private let state = Monitor(State())
    private let known = Mutex(KnownDomains())
    private let consumer = Mutex<AsyncStream<HypervisorEvent>.Continuation?>(nil)

    /// `patience` is how long a caller waits for a connection that is being opened; `isLost` is called with the reason when
    /// libvirtd is lost, and calls that wait for it wait in vain.
    init(uri: String, patience: Duration = .seconds(2), isLost: @escaping @Sendable (String) -> Void = { _ in }) {
        self.uri = uri
        self.isLost = isLost
        self.patience = patience
    }

    // MARK: For callers

    /// Runs `body` with a connection of its own. Blocks; fails at once while libvirtd is known not to answer.
    func perform<Value>(
        _ body: (LibvirtConnection) throws(HypervisorError) -> Value
    ) throws(HypervisorError) -> Value {
        let generation = try awaitConnected()
        let idle = state.change { state in state.generation == generation ? state.idle.popLast() : nil }
        let connection = if let idle { idle } else { try LibvirtConnection(uri: uri) }
        defer { giveBack(connection, generation) }
        return try body(connection)
    }

    private func giveBack(_ connection: LibvirtConnection, _ generation: Int) {
        guard connection.isAlive else { return }
        state.change { state in
            guard state.generation == generation, state.idle.count < idleMax else { return }
            state.idle.append(connection)
        }
    }

    /// The generation of the connection that watches; blocks until an attempt has ended.
    private func awaitConnected() throws(HypervisorError) -> Int {
        start()
        let (attempts, began) = state.change { state in
            state.isWanted = true
            if case .connecting(let since) = state.phase { return (state.attempts, since) }
            return (state.attempts, MonotonicClock.now())
        }
        let remaining = max(began + patience - MonotonicClock.now(), .milliseconds(1))
        let answer = state.wait(atMost: remaining) { state -> Result<Int, HypervisorError>? in
            if state.isClosed { return .failure(.unreachable("the agent is ending")) }
            switch state.phase {
            case .connected: return .success(state.generation)
            case .down(let reason) where state.attempts > attempts: return .failure(.unreachable(reason))
            case .idle, .connecting, .down: return nil
            }
        }
        guard let answer else { throw .unreachable("libvirtd at \(uri) accepts connections and does not answer") }
        return try answer.get()
    }

    func isKnown(_ vm: VMID) -> Bool { known.withLock { $0.isKnown(vm) } }
    func willStart(_ vm: VMID, _ epoch: Epoch) { known.withLock { $0.willStart(vm, epoch) } }
    func didNotStart(_ vm: VMID, _ epoch: Epoch) { known.withLock { $0.didNotStart(vm, epoch) } }

    func didChange(_ vm: VMID, to epoch: Epoch) { known.withLock { $0.didChange(vm, to: epoch) } }

    /// What happens from now on; a new stream ends the earlier one. Begins with `connected` if the connection is there.
    func events() -> AsyncStream<HypervisorEvent> {
        let (stream, continuation) = AsyncStream<HypervisorEvent>.makeStream()
        let isConnected = state.change { state in
            if case .connected = state.phase { return true }
            return false
        }
        consumer.withLock { consumer in
            consumer?.finish()
            consumer = continuation
            if isConnected { continuation.yield(.connected) }
        }
        start()
        return stream
    }

    /// Ends the thread and the event stream; for tests, as an agent's link lives as long as the agent.
    func close() {
        state.change { $0.isClosed = true }
        consumer.withLock { $0?.finish() }
    }

    // MARK: The thread

    private func start() {
        let isFirst = state.change { state in
            defer { state.isStarted = true }
            return !state.isStarted
        }
        guard isFirst else { return }
        LibvirtEventLoop.ensureRunning()
        let started = OwnThread.start(named: "libvirt-link") { [self] in keepConnected() }
        if !started { state.change { $0.isStarted = false } }
    }

    private func keepConnected() {
        let shortest = Duration.milliseconds(100)
        let longest = Duration.seconds(2)
        var pause = shortest
        var isTold = false
        while !isClosed {
            do throws(HypervisorError) {
                let (connection, subscription) = try connect()
                pause = shortest
                tell([.connected])
                let reason = serve(connection)
                lose(reason)
                tell([.disconnected(reason)])
                isTold = true
                connection.unsubscribe(subscription)
            } catch {
                let reason = error.text
                state.change { state in
                    state.attempts += 1
                    state.phase = .down(reason)
                }
                if !isTold { tell([.disconnected(reason)]) }
                isTold = true
                rest(pause)
                pause = min(pause * 2, longest)
            }
        }
    }

    private func lose(_ reason: String) {
        let idle = state.change { state in
            state.phase = .down(reason)
            defer { state.idle = [] }
            return state.idle
        }
        isLost(reason)
        // To close a connection is a call as well, and can hang.
        OwnThread.start(named: "libvirt-close") { withExtendedLifetime(idle) {} }
    }

    /// Waits before the next attempt, and less when a caller needs the connection.
    private func rest(_ pause: Duration) {
        let least = Duration.milliseconds(50)
        _ = state.wait(atMost: least) { $0.isClosed ? true : nil }
        _ = state.wait(atMost: pause - least) { $0.isClosed || $0.isWanted ? true : nil }
    }

    private var isClosed: Bool { state.change { $0.isClosed } }

    private func connect() throws(HypervisorError) -> (LibvirtConnection, LibvirtConnection.Subscription) {
        let generation = state.change { state in
            state.phase = .connecting(since: MonotonicClock.now())
            state.isWanted = false
            state.generation += 1
            state.signals = []
            return state.generation
        }
        let connection = try LibvirtConnection(uri: uri)
        let subscription = try connection.subscribe(
            .init(
                lifecycle: { [weak self] notice in self?.post(.notice(notice), from: generation) },
                closed: { [weak self] reason in self?.post(.lost(reason), from: generation) }))
        do {
            // Listed after the subscription: what changes from here on arrives as a notice.
            let domains = try connection.domains(knownToBeOurs: isKnown)
            known.withLock { $0.reset(to: domains) }
        } catch {
            connection.unsubscribe(subscription)
            throw error
        }
        state.change { state in
            state.attempts += 1
            state.phase = .connected
        }
        return (connection, subscription)
    }

    private func post(_ signal: Signal, from generation: Int) {
        state.change { state in
            guard state.generation == generation else { return }
            state.signals.append(signal)
        }
    }

    /// Judges notices until the connection is lost; returns why it was.
    private func serve(_ connection: LibvirtConnection) -> String {
        while true {
            let signal = state.wait { state -> Signal? in
                if state.isClosed { return .lost("the agent is ending") }
                return state.signals.isEmpty ? nil : state.signals.removeFirst()
            }
            switch signal {
            case .lost(let reason): return reason
            case .notice(let notice): judge(notice, on: connection)
            case nil: continue
            }
        }
    }

    private func judge(_ notice: LifecycleNotice, on connection: LibvirtConnection) {
        if case .rebooted = notice.kind { return tell([.rebooted(notice.vm)]) }
        let sight: KnownDomains.Sight
        do throws(HypervisorError) {
            sight = try connection.domain(of: notice.vm).map { .present($0) } ?? .absent
        } catch {
            switch error {
            case .noDomain: sight = .absent
            case .failed: sight = .unreadable
            case .unreachable:
                // Nothing is told: an inventory follows once the connection is back.
                if !connection.isAlive { state.change { $0.signals.append(.lost(error.text)) } }
                return
            }
        }
        tell(known.withLock { $0.events(after: notice, seeing: sight) })
    }

    private func tell(_ events: [HypervisorEvent]) {
        consumer.withLock { consumer in
            for event in events { consumer?.yield(event) }
        }
    }
}

extension HypervisorError {
    /// What went wrong, in words.
    var text: String {
        switch self {
        case .unreachable(let reason), .failed(let reason): reason
        case .noDomain: "there is no such domain"
        }
    }
}
