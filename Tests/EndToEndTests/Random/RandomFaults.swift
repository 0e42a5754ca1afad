import APIContract
import Foundation
import Synchronization
import Testing

/// Breaks and mends the hosts and the server, each by one fault at a time.
struct RandomFaults: Sendable {
    let bench: Bench
    let api: BenchAPI
    let sight: HostSight
    let journal: RandomJournal
    private let busy = Busy()

    /// What is broken now.
    private final class Busy: Sendable {
        private let names = Mutex<Set<String>>([])

        func take(_ name: String) -> Bool { names.withLock { $0.insert(name).inserted } }
        func free(_ name: String) { names.withLock { _ = $0.remove(name) } }
    }

    init(bench: Bench, api: BenchAPI, sight: HostSight, journal: RandomJournal) {
        self.bench = bench
        self.api = api
        self.sight = sight
        self.journal = journal
    }

    func happen(_ fault: RandomPlan.Fault) async throws {
        let target = try await claim(fault)
        defer { busy.free(target) }
        journal.count("fault \(fault.kind)")
        journal.note("\(fault.kind) \(target) for \(fault.duration) s")
        try await act(fault, on: target)
        journal.note("\(fault.kind) \(target) is over")
    }

    /// The host or server that breaks: the one that was drawn, or the next one that is whole.
    private func claim(_ fault: RandomPlan.Fault) async throws -> String {
        var wanted: [String]
        switch fault.kind {
        case .killServer, .stopServer: wanted = ["server"]
        case .cut, .killAgent, .stopAgent, .killLibvirtd, .freezeLibvirtd, .killQEMU, .destroyByHand, .powerOff,
            .powerOffAndFence:
            wanted = (0..<RandomPlan.hostCount).map { "h\((fault.host + $0) % RandomPlan.hostCount + 1)" }
        }
        var taken: String?
        try await until("one of \(wanted) is whole", limit: 90) {
            taken = wanted.first { busy.take($0) }
            return taken != nil
        }
        guard let taken else { throw ProgramFailed(description: "nothing is whole") }
        return taken
    }

    private func act(_ fault: RandomPlan.Fault, on target: String) async throws {
        let pause = Duration.milliseconds(Int(fault.duration * 1000))
        switch fault.kind {
        case .cut:
            try await bench("cut", target)
            try await Task.sleep(for: pause)
            try await bench("heal", target)
        case .killAgent, .stopAgent:
            try await bench("agent", target, fault.kind == .killAgent ? "kill" : "stop")
            try await Task.sleep(for: pause)
            try await bench.startAgent(target)
        case .killLibvirtd:
            try await bench("libvirtd", target, "kill")
            try await Task.sleep(for: pause)
            try await bench("libvirtd", target, "start")
        case .freezeLibvirtd:
            try await bench("libvirtd", target, "freeze")
            try await Task.sleep(for: pause)
            try await bench("libvirtd", target, "thaw")
        case .killQEMU, .destroyByHand:
            guard let domains = await sight.domains(on: target), !domains.isEmpty else { return }
            let domain = domains[fault.domain % domains.count]
            journal.note("\(fault.kind) \(domain)")
            if fault.kind == .killQEMU {
                // Says no where it has just ended.
                _ = try await bench.attempt("qemu", target, domain.name, "kill")
            } else {
                _ = await sight.virsh(target, "destroy", domain.name)
            }
        case .powerOff, .powerOffAndFence:
            try await bench("power", target, "off")
            if fault.kind == .powerOffAndFence { try await fence(target) }
            try await Task.sleep(for: pause)
            try await bench("power", target, "on")
            try await bench.startAgent(target)
        case .killServer, .stopServer:
            try await bench("server", fault.kind == .killServer ? "kill" : "stop")
            try await Task.sleep(for: pause / 4)
            try await bench.startServer()
        }
    }

    /// Says to Roost what is true: the host is off.
    private func fence(_ host: String) async throws {
        let body = FenceHostRequest(proof: "its power is off")
        let answer = try? await api.send("POST", "/hosts/\(host)/actions/fence", body: body)
        journal.note("fence \(host): \(answer.map { "\($0.status)" } ?? "no answer")")
    }
}
