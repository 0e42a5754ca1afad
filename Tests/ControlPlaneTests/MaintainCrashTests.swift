import ControlPlane
import Domain
import Testing

/// A server that dies at any commit of a drain: its successor ends the drain, and every guest is at one place.
@Suite struct MaintainCrashTests {
    private let caller = Rig.operatorCaller
    private let names = ["u", "v", "w"]

    @Test(arguments: [false, true])
    func `a server that dies at any commit of a drain ends it after a restart`(afterCommit: Bool) async throws {
        var commit = 1
        var survived = false
        while !survived {
            survived = try await runDrain(dyingAt: commit, afterCommit)
            commit += 1
        }
        #expect(commit > 8, "a drain has fewer commits than it must have")
    }

    /// True if the server did not die. Host B has room for two of the three guests; the third is stopped.
    private func runDrain(dyingAt commit: Int, _ afterCommit: Bool) async throws -> Bool {
        let rig = try await Rig { $0.capacity = CapacityPolicy(memoryReserve: 8192 - 384) }
        do {
            let engine = rig.startEngine()
            defer { engine.cancel() }
            try await rig.connect(rigHostA)
            try await rig.connect(rigHostB)
            for name in names { _ = try await rig.runningVM(name) }
            _ = try await rig.runningVM("x", on: "b")
        }
        let mortal = MortalDatabase(rig.database, dyingAt: commit, afterIt: afterCommit)
        let first = rig.context.replacing(database: mortal)
        let engine = Task { try await JobEngine(first).run() }
        let service = HostService(first, secrets: Rig.NoSecrets())
        let accepted = try? await service.maintain("a", stopsImmovable: true, by: caller)
        if let accepted {
            _ = try await eventually("dead or done") {
                if mortal.isDead { return true }
                return try await rig.jobs.operation(accepted.id.rawValue).state.isEnded ? true : nil
            }
        }
        engine.cancel()
        _ = await engine.result
        try await rig.forgetSessions()
        for host in [rigHostA, rigHostB] { rig.hosts.change(host) { $0.isConnected = false } }
        let successor = rig.startEngine()
        defer { successor.cancel() }
        try await rig.connect(rigHostB)
        try await rig.connect(rigHostA)
        // The client repeats what it got no answer to.
        let drain = try await rig.hostService.maintain("a", stopsImmovable: true, by: caller)
        let end = try await rig.jobs.wait(for: drain.id.rawValue, atMost: .seconds(20))
        #expect(end.outcome == .drained, "commit \(commit): \(end.lastError?.message ?? "")")
        try await check(rig, commit)
        return !mortal.isDead
    }

    private func check(_ rig: Rig, _ commit: Int) async throws {
        #expect(rig.hosts.host(rigHostA).domains.isEmpty, "commit \(commit)")
        #expect(try await rig.hostService.host("a").allocated.memory == 0, "commit \(commit)")
        var labels: [VMState.Label] = []
        for name in names {
            let vm = try await eventually("\(name) is settled") {
                let vm = try await rig.vm(name)
                return vm.operation == nil ? vm : nil
            }
            labels.append(vm.state.label)
            #expect(rig.hosts.host(rigHostB).domains[vm.id] == vm.state.placement?.epoch, "commit \(commit)")
        }
        #expect(Set(labels) == [.running, .stopped], "commit \(commit): \(labels)")
        #expect(try await rig.hostService.host("b").allocated.memory == 384, "commit \(commit)")
        let jobs = try await rig.jobs.jobs(.operation, ListQuery()).items
        let open = jobs.filter { !$0.state.isEnded }
        let stops = jobs.filter { $0.kind == .stopOperation }
        #expect(open.isEmpty, "commit \(commit)")
        #expect(stops.count == 1, "commit \(commit)")
    }
}
