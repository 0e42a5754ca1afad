import ControlPlane
import Domain
import Synchronization

/// Agents that answer at once from a table of domains, as the real one would; a test can hold, drop or lose what they say.
final class SimpleHosts: HostSessions {
    struct Host {
        var isConnected = false
        var libvirtAnswers = true
        var session: Int64 = 0
        var sequence: Int64 = 0
        var bootID = "boot-1"
        var pool = PoolID(trusted: "99999999-0000-4000-8000-000000000001")
        var domains: [VMID: Epoch] = [:]
        var ended: [CommandID: CommandOutcome] = [:]
    }

    enum Fate: Sendable {
        case deliver
        /// The agent does it, and the answer is lost.
        case loseAnswer
        /// The agent never gets it, and nobody knows.
        case loseCommand
    }

    private struct State {
        var hosts: [HostID: Host] = [:]
        var log: [String] = []
        var fate: @Sendable (HostCommand) async -> Fate = { _ in .deliver }
    }

    private let state = Mutex(State())

    var log: [String] { state.withLock { $0.log } }

    func host(_ id: HostID) -> Host { state.withLock { $0.hosts[id] ?? Host() } }

    func change(_ id: HostID, _ body: (inout Host) -> Void) {
        state.withLock { state in
            var host = state.hosts[id] ?? Host()
            body(&host)
            state.hosts[id] = host
        }
    }

    func decideFate(_ fate: @escaping @Sendable (HostCommand) async -> Fate) { state.withLock { $0.fate = fate } }

    func inventory(_ id: HostID) -> Inventory {
        change(id) { $0.sequence += 1 }
        let host = host(id)
        return Inventory(
            bootID: host.bootID, libvirtAnswered: host.libvirtAnswers,
            domains: host.libvirtAnswers
                ? host.domains.map { ObservedDomain(vm: $0.key, epoch: $0.value, state: .running) } : [],
            sequence: host.sequence)
    }

    // MARK: HostSessions

    func send(_ command: HostCommand, id: CommandID, to host: HostID, limit: Duration) async -> CommandEnd {
        guard self.host(host).isConnected else {
            return .notSent(Fault(.unavailable, .hostUnreachable, "The host is not connected."))
        }
        let lost = Fault(.unavailable, .outcomeUnknown, "The answer was lost.")
        switch await state.withLock({ $0.fate })(command) {
        case .loseCommand: return .outcomeUnknown(lost)
        case .loseAnswer:
            _ = perform(command, id, on: host)
            return .outcomeUnknown(lost)
        case .deliver: break
        }
        guard self.host(host).isConnected else { return .outcomeUnknown(lost) }
        return CommandEnd(perform(command, id, on: host))
    }

    func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement {
        guard self.host(host).isConnected else {
            return .unknown(Fault(.unavailable, .hostUnreachable, "The host is not connected."))
        }
        return self.host(host).ended[id].map { .ended($0) } ?? .neverReceived
    }

    func acknowledge(_ id: CommandID, on host: HostID) async {}

    func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory {
        guard self.host(host).isConnected else {
            throw Fault(.unavailable, .hostUnreachable, "The host is not connected.")
        }
        return SessionInventory(session: self.host(host).session, inventory: inventory(host))
    }

    func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8] { [] }

    func disconnect(_ host: HostID, reason: String) async { change(host) { $0.isConnected = false } }

    // MARK: The agent

    private func perform(_ command: HostCommand, _ id: CommandID, on host: HostID) -> CommandOutcome {
        state.withLock { state in
            var record = state.hosts[host] ?? Host()
            defer { state.hosts[host] = record }
            if let outcome = record.ended[id] { return outcome }
            guard record.libvirtAnswers else {
                return .rejected(Fault(.unavailable, .libvirtUnavailable, "libvirt does not answer."))
            }
            state.log.append("\(host == rigHostA ? "A" : "B") \(command.label) \(command.epoch)")
            record.sequence += 1
            let outcome = Self.run(command, on: &record)
            record.ended[id] = outcome
            return outcome
        }
    }

    private static func run(_ command: HostCommand, on host: inout Host) -> CommandOutcome {
        let found = host.domains[command.vm]
        if let found, found != command.epoch {
            return .rejected(Fault(.conflict, .staleEpoch, "A domain of epoch \(found) runs here."))
        }
        func done(_ effect: CommandResult.Effect) -> CommandOutcome {
            .done(CommandResult(effect: effect, sequence: host.sequence))
        }
        switch command {
        case .start:
            host.domains[command.vm] = command.epoch
            return done(.started)
        case .stop(let stop):
            guard found != nil else {
                return stop.ignoreNotFound
                    ? done(.notFound) : .rejected(Fault(.conflict, .domainNotFound, "There is no domain."))
            }
            host.domains[command.vm] = nil
            return done(.stopped)
        case .destroy:
            host.domains[command.vm] = nil
            return done(.destroyed)
        }
    }
}

let rigHostA = HostID(trusted: "aaaaaaaa-0000-4000-8000-000000000001")
let rigHostB = HostID(trusted: "bbbbbbbb-0000-4000-8000-000000000002")
