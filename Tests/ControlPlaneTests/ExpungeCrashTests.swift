import ControlPlane
import Domain
import Testing

@Suite struct ExpungeCrashTests {
    private let caller = Rig.operatorCaller

    /// How a VM comes to be expunged.
    enum Way: CaseIterable {
        /// It is destroyed, and somebody gives it up.
        case byHand
        /// It is destroyed, and its time is over.
        case byTime
        /// It runs, and is deleted to keep nothing.
        case atOnce
        /// The same, left to a job that waits for its host.
        case later
    }

    @Test(arguments: Way.allCases, [false, true])
    func `a server that dies at any commit of an expunge leaves nothing after a restart`(
        way: Way, afterCommit: Bool
    ) async throws {
        var commit = 1
        var survived = false
        while !survived {
            let rig = try await Rig(tuning: { if way == .byTime { $0.keepDestroyed = .milliseconds(1) } })
            let vm = try await prepare(rig, way)
            survived = try await run(rig, vm, way, dyingAt: commit, afterCommit)
            commit += 1
        }
        #expect(commit > 4, "the path has fewer commits than it must have")
    }

    @Test(arguments: [false, true], [false, true])
    func `a server that dies at any commit of a destroy loses neither the VM nor its disk`(
        isLater: Bool, afterCommit: Bool
    ) async throws {
        var commit = 1
        var survived = false
        while !survived {
            let rig = try await Rig()
            let vm = try await prepare(rig, isLater ? .later : .atOnce)
            let mortal = MortalDatabase(rig.database, dyingAt: commit, afterIt: afterCommit)
            try await onMortalServer(rig, mortal) { context in
                _ = try await VMService(context).destroy("v", isDeferrable: true, by: caller)
                if isLater { try await rig.connect(rigHostA, as: HostSessionService(context)) }
                try await deadOrDone(mortal) { try await rig.vm().state == .destroyed }
            }
            let engine = rig.startEngine()
            defer { engine.cancel() }
            let state = try await rig.vm().state.label
            if state == .running || state == .unknown {
                _ = try await rig.vms.destroy("v", isDeferrable: true, by: caller)
            }
            try await rig.connect(rigHostA)
            _ = try await eventually("it is destroyed after a death at commit \(commit)") {
                let jobs = try await rig.gcJobs()
                let now = try await rig.vm()
                return now.state == .destroyed && now.operation == nil && jobs.allSatisfy { $0.state.isEnded }
                    ? true : nil
            }
            #expect(rig.hosts.host(rigHostA).domains.isEmpty, "commit \(commit)")
            #expect(rig.hosts.disks == [vm.id], "commit \(commit)")
            _ = try await rig.vms.recover("v", by: caller)
            survived = !mortal.isDead
            commit += 1
        }
        #expect(commit > 3, "the path has fewer commits than it must have")
    }

    /// VM `v` has a disk on A and is as the way wants it.
    private func prepare(_ rig: Rig, _ way: Way) async throws -> VM {
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        switch way {
        case .byHand, .byTime:
            let operation = try await rig.vms.destroy("v", isDeferrable: false, by: caller)
            _ = try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
            _ = try await eventually("it may be given up") {
                let now = rig.context.time.wall()
                let kept = try await rig.vm().expungeAt
                return way == .byHand || kept.map { $0 < now } == true ? true : nil
            }
        case .atOnce: break
        case .later: try await rig.cut(rigHostA)
        }
        return vm
    }

    /// Asks for what is to be done; asked again, nothing happens twice.
    private func ask(_ rig: Rig, _ way: Way, _ context: Context) async throws {
        switch way {
        case .byHand: _ = try await VMService(context).expunge("v", by: caller)
        case .byTime: try await Retention(context).sweep()
        case .atOnce, .later:
            _ = try await VMService(context).destroy("v", isDeferrable: true, expunges: true, by: caller)
        }
    }

    /// Runs the path on a server that dies at `commit`, then on its successor; true if it did not die.
    private func run(
        _ rig: Rig, _ vm: VM, _ way: Way, dyingAt commit: Int, _ afterCommit: Bool
    ) async throws -> Bool {
        let mortal = MortalDatabase(rig.database, dyingAt: commit, afterIt: afterCommit)
        try await onMortalServer(rig, mortal) { context in
            try await ask(rig, way, context)
            if way == .later { try await rig.connect(rigHostA, as: HostSessionService(context)) }
            try await deadOrDone(mortal) { try await rig.record(of: vm.id) == nil }
        }
        let engine = rig.startEngine()
        defer { engine.cancel() }
        // The client repeats what it got no answer to; what was accepted goes on by itself.
        let state = try await rig.record(of: vm.id)?.state.label
        if state == .running || state == .unknown || state == .destroyed { try await ask(rig, way, rig.context) }
        try await rig.connect(rigHostA)
        _ = try await eventually("nothing is left after a death at commit \(commit)") {
            let record = try await rig.record(of: vm.id)
            let operations = try await rig.jobs.jobs(.operation, ListQuery()).items
            let jobs = try await rig.gcJobs()
            return record == nil && (jobs + operations).allSatisfy { $0.state.isEnded } ? true : nil
        }
        #expect(rig.hosts.host(rigHostA).domains.isEmpty, "commit \(commit)")
        #expect(rig.hosts.disks.isEmpty, "commit \(commit)")
        #expect(try await rig.events(of: vm.id).filter { $0.kind == "vm.expunged" }.count == 1, "commit \(commit)")
        return !mortal.isDead
    }

    /// Runs `body` beside a job engine on a server that dies with `mortal`; afterwards no session is left.
    private func onMortalServer(
        _ rig: Rig, _ mortal: MortalDatabase, _ body: (Context) async throws -> Void
    ) async throws {
        let context = rig.context.replacing(database: mortal)
        let engine = Task { try await JobEngine(context).run() }
        try? await body(context)
        engine.cancel()
        _ = await engine.result
        try await rig.forgetSessions()
        rig.hosts.change(rigHostA) { $0.isConnected = false }
    }

    private func deadOrDone(_ mortal: MortalDatabase, _ isDone: () async throws -> Bool) async throws {
        _ = try await eventually("dead or done") {
            if mortal.isDead { return true }
            return try await isDone() ? true : nil
        }
    }
}
