package import Domain

/// What to do with records that were brought back from an older copy.
package struct RecoveryService: Sendable {
    private let context: Context

    package init(_ context: Context) { self.context = context }

    /// Where the records and the hosts differ, and what accepting the records would do about it.
    package func report() async throws -> RecoveryReport {
        try await context.database.read { tx in try tx.recoveryReport() }
    }

    /// Throws the fault `recovering` while Roost only observes.
    package func checkActing() async throws { try await context.database.read { tx in try tx.checkActing() } }

    /// Lets Roost act again, on the records as they are now.
    ///
    /// Every epoch is raised above all that can have been granted since the copy was made, so that no command of before
    /// means anything any more. Of VMs that run newer than their record, the domain is taken up; what nobody can know stays
    /// unknown.
    package func accept(by caller: Caller) async throws -> RecoveryReport {
        let (ids, settings) = (context.ids, context.settings)
        let (report, point) = try await context.database.write("recovery.accept") { tx in
            if try tx.remembered(caller) == nil { try tx.acceptRecords(by: caller.principal, ids, settings) }
            try tx.remember(caller, resource: "recovery")
            return (try tx.recoveryReport(), try tx.recordPoint())
        }
        await context.sessions.note(point)
        // What they show from now on is decided on as ever.
        let connected = try await context.database.read { tx in try tx.allHosts() }.filter {
            $0.connection == .connected
        }
        await withDiscardingTaskGroup { group in
            for host in connected { group.addTask { await context.inspect(host.id) } }
        }
        return report
    }
}

/// Where the records and the hosts differ.
package struct RecoveryReport: Sendable {
    package let recovery: Recovery
    /// Hosts that were not heard of since the records were restored.
    package let awaited: [Host]
    /// VMs whose record says something else than the hosts.
    package let vms: [RestoredVM]
    /// Domains of VMs that have no record.
    package let strays: [Sighting]
    package let hostNames: [HostID: String]
    /// Unfinished work from before, while Roost only observes.
    package let jobs: [RestoredJob]

    package struct RestoredVM: Sendable {
        package let vm: VM
        package let sightings: [Sighting]
        package let fate: RestoredFate
    }

    package struct RestoredJob: Sendable {
        package let explanation: JobExplanation
        package let fate: RestoredJobFate
    }
}

extension Transaction {
    fileprivate func recoveryReport() throws -> RecoveryReport {
        let recovery = try recovery()
        let awaited = try awaitedHosts()
        let sightings = Dictionary(grouping: try allSightings(), by: \.vm)
        let all = try allVMs()
        let vms = all.compactMap { vm -> RecoveryReport.RestoredVM? in
            let seen = sightings[vm.id] ?? []
            let fate = vm.fate(given: seen, isAnyAwaited: !awaited.isEmpty)
            switch fate {
            case .confirmed, .atRest: return nil
            case .adopted, .stopped, .waits, .contested:
                return RecoveryReport.RestoredVM(vm: vm, sightings: seen, fate: fate)
            }
        }
        let known = Set(all.map(\.id))
        let strays = sightings.values.joined().filter { !known.contains($0.vm) }
        var jobs: [RecoveryReport.RestoredJob] = []
        if recovery.observing != nil {
            for job in try unfinishedJobs() {
                let explanation = JobExplanation(
                    job: job, vm: try vm(job.vm), host: try host(job.host), steps: try steps(of: job.id))
                let seen = Self.highest(sightings[job.vm] ?? [])
                jobs.append(RecoveryReport.RestoredJob(explanation: explanation, fate: job.restoredFate(seen: seen)))
            }
        }
        return RecoveryReport(
            recovery: recovery, awaited: awaited, vms: vms,
            strays: strays.sorted { ($0.host, $0.vm) < ($1.host, $1.vm) },
            hostNames: Dictionary(try allHosts().map { ($0.id, $0.name) }) { first, _ in first }, jobs: jobs)
    }

    private static func highest(_ sightings: [Sighting]) -> Epoch { sightings.map(\.epoch).max() ?? .none }

    fileprivate func acceptRecords(by principal: Principal, _ ids: any IDSource, _ settings: ControlSettings) throws {
        var recovery = try recovery()
        guard recovery.observing != nil else {
            throw Fault(
                .conflict, .invalidState, "There is nothing to accept: Roost acts on its records.",
                hint: "See roost status.")
        }
        recovery.generation = recovery.nextGeneration(above: try highestEpoch())
        recovery.observing = nil
        try put(recovery)
        // Whoever follows the events of before finds a gap, and reads the present state.
        try skipEventIDs(past: max(try latestEventID(), recovery.heard.event) + Self.eventGap)
        let base = recovery.base ?? .none
        let isAnyAwaited = try !awaitedHosts().isEmpty
        try dropWork(recoveredTo: base)
        var counts: [String: Int] = [:]
        for vm in try allVMs() {
            let seen = try sightings(of: vm.id)
            let fate = vm.fate(given: seen, isAnyAwaited: isAnyAwaited)
            counts[fate.label, default: 0] += 1
            try settle(vm, as: fate, seen, base, by: principal, ids, settings)
        }
        let summary = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        try append(
            Event(
                kind: "recovery.accepted", epoch: base,
                message: "The restored records were accepted; epochs go on above \(base). VMs: "
                    + (summary.isEmpty ? "none." : "\(summary)."), principal: principal.name))
    }

    private static var eventGap: Int64 { 1_000_000 }

    /// Ends or parks all that was under way when the records were copied.
    private func dropWork(recoveredTo base: Epoch) throws {
        for job in try unfinishedJobs() {
            switch job.restoredFate(seen: Self.highest(try sightings(of: job.vm))) {
            case .superseded: try end(job, as: JobEnd(.superseded, .superseded))
            case .cancelled: try end(job, as: JobEnd(.cancelled, .recordsRestored))
            case .parked:
                var next = job
                next.state = .parked
                next.owner = nil
                next.note("The records were restored: whether it was done or given up since is not known.", at: now)
                _ = try replace(next, atRevision: job.revision)
            }
        }
    }

    private func settle(
        _ vm: VM, as fate: RestoredFate, _ seen: [Sighting], _ base: Epoch, by principal: Principal,
        _ ids: any IDSource, _ settings: ControlSettings
    ) throws {
        var next = vm
        next.operation = nil
        next.epoch = base
        // It may have been recovered since, so that its time begins anew.
        if next.state == .destroyed { next.expungeAt = keptUntil(settings) }
        switch fate {
        // One above the base: known since.
        case .confirmed: next.epoch = base.next
        case .stopped:
            next = try next.after(.writtenOff)
        case .atRest, .waits, .contested, .adopted: break
        }
        let stored = try replace(vm, with: next, by: principal)
        guard case .adopted(let found) = fate, let sighting = seen.first(where: { $0.host == found.host }) else {
            return
        }
        try leaveAdoption(of: stored, at: sighting, by: principal, ids, settings)
    }
}
