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

    // MARK: All the time

    /// Looks every second, until the task is cancelled.
    func watch() async { await watcher.run() }

    private var watcher: Watcher {
        Watcher(
            api: api, sight: sight, hosts: Self.hosts, found: { [journal] in journal.violated($0) },
            looked: { [journal] in journal.count("samples") })
    }

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
        try await settle("nothing is under way", limit: 75) { try await unfinished() }
        let settled = ContinuousClock.now
        try await settle("records and hosts agree", limit: 15) { try await differences() }
        journal.note(
            "quiet: mended in \(restored - start), settled in \(settled - restored), equal in \(.now - settled)")
    }

    /// Notes what the hosts look like when something does not end; returns those on which libvirt is stuck in a start.
    private func noteDeadlock(_ remedy: String) async throws -> Set<String> {
        var stuck: Set<String> = []
        journal.count(remedy)
        journal.note("\(remedy), because of \(try await unfinished())")
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

    /// Waits until nothing is left of what `remaining` says; it is a violation if that takes longer than `limit` seconds.
    private func settle(_ what: String, limit: Double, _ remaining: () async throws -> [String]) async throws {
        let deadline = ContinuousClock.now + .seconds(limit)
        while true {
            let left = try await remaining()
            if left.isEmpty { return }
            guard ContinuousClock.now < deadline else {
                for one in left { journal.violated("not so after \(limit) s: \(what): \(one)") }
                return
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func settles(within limit: Double) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(limit)
        while ContinuousClock.now < deadline {
            if try await unfinished().isEmpty { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    private func unfinished() async throws -> [String] {
        let settled: Set<String> = ["created", "running", "paused", "stopped", "crashed", "destroyed"]
        let list = try await vms()
        let vms = list.filter { !settled.contains($0.state) || $0.operation != nil }
            .map { "\($0.name) \($0.id) is \($0.state), operation \($0.operation ?? "none")" }
        let operations = try await api.all("/operations", of: OperationResource.self).filter { !$0.isEnded }
            .map { "operation \($0.id) \($0.kind) of \($0.vm ?? "no VM") is \($0.state)" }
        let jobs = try await api.all("/gc-jobs", of: GCJobResource.self).filter { $0.endedAt == nil }
            .map { "GC job \($0.id) \($0.kind) of \($0.vm) on \($0.host) is \($0.state): \($0.lastError ?? "")" }
        return vms + operations + jobs
    }

    /// Every difference between the records, the capacity and what the hosts show.
    private func differences() async throws -> [String] {
        let vms = try await vms()
        let hosts = try await api.all("/hosts", of: HostResource.self)
        let seen = await watcher.look()
        var found = Self.hosts.filter { seen[$0] == nil }.map { "libvirt on \($0) does not answer" }
        for host in hosts {
            let domains = seen[host.name] ?? []
            for vm in vms { found += try await difference(vm, domains.filter { $0.isOf(vm.id) }, host) }
            for domain in domains where !vms.contains(where: { domain.isOf($0.id) }) {
                found.append("\(host.name) has \(domain), of which there is no record")
            }
            let placed = vms.filter { $0.host == host.id }
            let sum = HostCapacity(
                cpus: placed.reduce(0) { $0 + $1.cpus }, memory: placed.reduce(0) { $0 + $1.memory })
            if host.allocated != sum { found.append("\(host.name) has \(host.allocated) allocated, and holds \(sum)") }
            for sighting in host.sightings { found.append("\(host.name) shows the conflict \(sighting)") }
            let orphans = try await api.send("GET", "/hosts/\(host.name)/orphans")
            guard orphans.status == 200 else {
                found.append("the orphans of \(host.name): \(orphans.code)")
                continue
            }
            for orphan in try orphans.json(Page<OrphanResource>.self).items {
                found.append("\(host.name) has the orphan \(orphan)")
            }
        }
        for vm in vms where !vm.conflicts.isEmpty { found.append("\(vm.name) has the conflicts \(vm.conflicts)") }
        return found
    }

    /// What is wrong with the domains of `vm` on `host`.
    private func difference(
        _ vm: VMResource, _ domains: [HostSight.Domain], _ host: HostResource
    ) async throws -> [String] {
        let said = "\(vm.name) \(vm.id) is \(vm.state) with epoch \(vm.epoch)"
        guard vm.host == host.id else {
            return domains.map { "\(said), its host is \(vm.host ?? "none"), and \(host.name) has \($0)" }
        }
        guard let domain = domains.first, domains.count == 1 else {
            return ["\(said) on \(host.name), which has \(domains)"]
        }
        let agrees =
            switch vm.state {
            case "running": domain.runs
            case "paused": domain.isPaused
            default: false
            }
        guard agrees else { return ["\(said) on \(host.name), which has \(domain)"] }
        let epoch = await sight.epoch(of: domain, on: host.name)
        guard epoch != vm.epoch else { return [] }
        // The record says the highest that was granted. What was granted to a move that came to nothing, no domain has.
        let moves = try await api.all("/operations", of: OperationResource.self).filter {
            $0.vm == vm.id && $0.epoch == epoch && $0.kind.hasPrefix("migrate") && $0.state != "succeeded"
        }
        return moves.isEmpty ? ["\(said), and its domain has epoch \(epoch ?? 0)"] : []
    }

    private func vms() async throws -> [VMResource] { try await api.all("/vms") }

    // MARK: The end

    /// Every operation that was accepted has ended, and none by a bug.
    func checkOperations() async throws {
        let all = Dictionary(
            try await api.all("/operations", of: OperationResource.self).map { ($0.id, $0) }
        ) { first, _ in first }
        for id in Set(journal.operations) {
            guard let operation = all[id] else {
                journal.violated("operation \(id) was accepted, and is not there any more")
                continue
            }
            if !operation.isEnded { journal.violated("operation \(id) \(operation.kind) has not ended") }
        }
        for operation in all.values {
            let code = operation.error.map { " \($0.code)" } ?? ""
            journal.count("\(operation.kind) \(operation.state)\(code)")
            if operation.error?.code == "internal-error" { journal.violated("operation \(operation)") }
        }
    }
}
