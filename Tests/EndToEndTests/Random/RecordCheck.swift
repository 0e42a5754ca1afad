import APIContract
import Foundation

/// Holds the records against what the hosts show, at a moment at which nothing is under way.
struct RecordCheck: Sendable {
    let api: BenchAPI
    let view: any HostView
    let hosts: [String]
    let journal: RandomJournal

    /// Looks all the time, once it runs.
    var watcher: Watcher {
        Watcher(
            api: api, sight: view, hosts: hosts, found: { [journal] in journal.violated($0) },
            looked: { [journal] in journal.count("samples") })
    }

    /// Waits until nothing is left of what `remaining` says; it is a violation if that takes longer than `limit` seconds.
    func settle(_ what: String, limit: Double, _ remaining: () async throws -> [String]) async throws {
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

    /// Everything that is still under way.
    func unfinished() async throws -> [String] {
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
    func differences() async throws -> [String] {
        let vms = try await vms()
        let records = try await api.all("/hosts", of: HostResource.self)
        let seen = await watcher.look()
        var found = hosts.filter { seen[$0] == nil }.map { "libvirt on \($0) does not answer" }
        for host in records {
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
        let epoch = await view.epoch(of: domain, on: host.name)
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
