import ControlPlane
import Domain
import Testing

/// A server that dies at any commit of a move: its successor brings the guest to one place, and the record to the truth.
@Suite struct MoveCrashTests {
    private let caller = Rig.operatorCaller

    enum Way: CaseIterable { case arrives, arrivesUntold, arrivesUnheard, fails, cold }

    @Test(arguments: Way.allCases, [false, true])
    func `a server that dies at any commit of a move settles it after a restart`(
        way: Way, afterCommit: Bool
    ) async throws {
        var commit = 1
        var survived = false
        while !survived {
            survived = try await runMove(way, dyingAt: commit, afterCommit)
            commit += 1
        }
        #expect(commit > 3, "a move has fewer commits than it must have")
    }

    private func request(_ way: Way) -> MigrateRequest { MigrateRequest(host: "b", isLive: way != .cold) }

    /// True if the server did not die.
    private func runMove(_ way: Way, dyingAt commit: Int, _ afterCommit: Bool) async throws -> Bool {
        let rig = try await Rig()
        do {
            let engine = rig.startEngine()
            defer { engine.cancel() }
            try await rig.connect(rigHostA)
            try await rig.connect(rigHostB)
            _ = try await rig.runningVM()
        }
        if way == .arrivesUntold { rig.hosts.decideArrivals(.untold) }
        if way == .arrivesUnheard { rig.hosts.decideArrivals(.unheard) }
        if way == .fails {
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                return .fail(Fault(.unavailable, .commandFailed, "libvirt refused"))
            }
        }
        let mortal = MortalDatabase(rig.database, dyingAt: commit, afterIt: afterCommit)
        let first = rig.context.replacing(database: mortal)
        let engine = Task { try await JobEngine(first).run() }
        let accepted = try? await VMService(first).migrate("v", request(way), by: caller)
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
        let vm = try await eventually("the move is settled after a death at commit \(commit)") {
            let vm = try await rig.vm()
            return vm.state.label == .running && vm.operation == nil ? vm : nil
        }
        let homes = [rigHostA, rigHostB].filter { rig.hosts.host($0).domains[vm.id] != nil }
        #expect(homes == [vm.state.placement?.host], "\(way), commit \(commit)")
        #expect(rig.hosts.host(homes[0]).domains[vm.id] == vm.state.placement?.epoch, "\(way), commit \(commit)")
        #expect(rig.hosts.host(homes[0]).paused[vm.id] == nil, "\(way), commit \(commit)")
        #expect(rig.hosts.log.filter { $0 == "A migrate 1" }.count <= 1, "\(way), commit \(commit)")
        #expect(rig.hosts.log.filter { $0 == "B start 2" }.count <= 1, "\(way), commit \(commit)")
        _ = try await eventually("what the other host held is released after a death at commit \(commit)") {
            let holders = [rigHostA, rigHostB].filter { rig.hosts.host($0).logs.contains(vm.id) }
            let isSettled = try await rig.gcJobs().allSatisfy { $0.state.isEnded }
            return holders == homes && isSettled ? true : nil
        }
        let jobs = try await rig.jobs.jobs(.operation, ListQuery()).items
        #expect(jobs.allSatisfy { $0.state.isEnded }, "\(way), commit \(commit)")
        return !mortal.isDead
    }
}
