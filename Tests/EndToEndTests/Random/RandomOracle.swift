import APIContract
import Foundation
import Testing

/// Holds what the server says against what libvirt shows, all the time and, more exactly, at quiet points.
struct RandomOracle: Sendable {
    let bench: Bench
    let api: BenchAPI
    let sight: HostSight
    let journal: RandomJournal

    static let hosts = (1...RandomPlan.hostCount).map { "h\($0)" }

    var check: RecordCheck { RecordCheck(api: api, view: sight, hosts: Self.hosts, journal: journal) }

    // MARK: All the time

    /// Looks every second, until the task is cancelled.
    func watch() async { await check.watcher.run() }

    // MARK: Quiet points

    /// Mends everything, waits until nothing is under way any more, and compares.
    func quiet() async throws {
        let start = ContinuousClock.now
        try await bench.restore(Self.hosts)
        let restored = ContinuousClock.now
        // A libvirtd that is killed in the middle of a start can come back with that start's lock held for good. It refuses
        // every stop then, and an operator has to start it again, or, where that does not help, the host.
        if try await !settles(within: 45) {
            _ = try await noteDeadlock("libvirtd restarted by hand")
            for host in Self.hosts {
                try await bench("libvirtd", host, "kill")
                try await bench("libvirtd", host, "start")
            }
            if try await !settles(within: 45) {
                for host in try await noteDeadlock("host restarted by hand") {
                    try await bench("power", host, "off")
                    try await bench("power", host, "on")
                    try await bench.startAgent(host)
                }
            }
        }
        try await check.settle("nothing is under way", limit: 75) { try await check.unfinished() }
        let settled = ContinuousClock.now
        try await check.settle("records and hosts agree", limit: 15) { try await check.differences() }
        journal.note(
            "quiet: mended in \(restored - start), settled in \(settled - restored), equal in \(.now - settled)")
    }

    /// Notes what the hosts look like when something does not end; returns those on which libvirt is stuck in a start.
    private func noteDeadlock(_ remedy: String) async throws -> Set<String> {
        var stuck: Set<String> = []
        journal.count(remedy)
        journal.note("\(remedy), because of \(try await check.unfinished())")
        for host in Self.hosts {
            for domain in await sight.domains(on: host) ?? [] where domain.isPaused {
                let reason = await sight.virsh(host, "domstate", domain.name, "--reason")?.out ?? "no answer"
                let process = try await bench.attempt("qemu", host, domain.name, "pid").out
                journal.note("\(domain) on \(host): \(reason), QEMU \(process.isEmpty ? "none" : process)")
                if reason.contains("starting up") { stuck.insert(host) }
            }
        }
        return stuck
    }

    private func settles(within limit: Double) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(limit)
        while ContinuousClock.now < deadline {
            if try await check.unfinished().isEmpty { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }
}
