import Foundation
import Synchronization
import Testing

/// Breaks and mends servers, the database and hosts.
struct ChaosFaults: Sendable {
    let chaos: ChaosBench
    private let broken = Broken()

    /// What is broken now. One server is always whole, or nothing would go on.
    private final class Broken: Sendable {
        private let names = Mutex<Set<String>>([])

        func take(_ name: String) -> Bool {
            names.withLock { names in
                guard name.hasPrefix("server") else { return names.insert(name).inserted }
                guard names.filter({ $0.hasPrefix("server") }).count < ChaosPlan.servers - 1 else { return false }
                return names.insert(name).inserted
            }
        }

        func free(_ name: String) { names.withLock { _ = $0.remove(name) } }
        var count: Int { names.withLock { $0.count } }
    }

    init(_ chaos: ChaosBench) { self.chaos = chaos }

    /// How many things are broken.
    var count: Int { broken.count }

    /// Takes the target of a round, or the next one that is whole; waits for one if there is none.
    func claim(_ round: ChaosPlan.Round) async throws -> Target {
        let choices: [Target] =
            switch round.kind {
            case .killNode, .freezeNode, .silenceDatabase, .refuseDatabase: (1...ChaosPlan.servers).map(Target.server)
            case .restartPostgres, .crashPostgres: [.postgres]
            case .silenceAgent, .refuseAgent, .killAgent: chaos.simulated.map(Target.simulated)
            case .cutHost: ChaosBench.real.map(Target.real)
            }
        var taken: Target?
        try await until("something is whole for \(round.kind)", limit: 90) {
            taken = choices.indices.map { choices[(round.target + $0) % choices.count] }.first { broken.take($0.name) }
            return taken != nil
        }
        guard let taken else { throw ProgramFailed(description: "nothing is whole") }
        return taken
    }

    enum Target: Sendable {
        case server(Int), postgres, simulated(SimulatedHost), real(String)

        var name: String {
            switch self {
            case .server(let number): "server\(number)"
            case .postgres: "postgres"
            case .simulated(let host): host.name
            case .real(let host): host
            }
        }
    }

    /// Breaks `target` and mends it.
    func happen(_ round: ChaosPlan.Round, to target: Target) async throws {
        defer { broken.free(target.name) }
        chaos.journal.count("fault \(round.kind)")
        chaos.journal.note("\(round.kind) \(target.name) for \(round.duration) s")
        let pause = Duration.milliseconds(Int(round.duration * 1000))
        switch target {
        case .server(let number): try await act(round.kind, onServer: number, pause)
        case .postgres: try await restartPostgres(isCrash: round.kind == .crashPostgres)
        case .simulated(let host): try await act(round.kind, on: host, pause)
        case .real(let host):
            try await chaos.bench("cut", host)
            try await Task.sleep(for: pause)
            try await chaos.bench("heal", host)
        }
        chaos.journal.note("\(round.kind) \(target.name) is over")
    }

    private func act(_ kind: ChaosPlan.Kind, onServer number: Int, _ pause: Duration) async throws {
        let relay = chaos.relays[number - 1]
        switch kind {
        case .killNode:
            try await chaos.bench("server", "\(number)", "kill")
            try await Task.sleep(for: pause)
            try await chaos.startServer(number)
        case .freezeNode:
            try await chaos.bench("server", "\(number)", "freeze")
            try await Task.sleep(for: pause)
            try await chaos.bench("server", "\(number)", "thaw")
        default:
            relay.become(kind == .silenceDatabase ? .held : .refused)
            try await Task.sleep(for: pause)
            relay.become(.open)
        }
    }

    private func act(_ kind: ChaosPlan.Kind, on host: SimulatedHost, _ pause: Duration) async throws {
        guard kind == .killAgent else {
            host.become(kind == .silenceAgent ? .held : .refused)
            try await Task.sleep(for: pause)
            return host.become(.open)
        }
        await host.kill()
        try await Task.sleep(for: pause)
        try host.start()
    }

    private func restartPostgres(isCrash: Bool) async throws {
        let postgres = chaos.postgres
        try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread {
                waiter.resume(
                    with: Result {
                        try isCrash ? postgres.crash() : postgres.stop()
                        try postgres.start()
                    })
            }
        }
    }
}
