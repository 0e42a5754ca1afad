import ControlPlane
import Domain
import Synchronization
import Testing

/// A store whose process dies at one of its commits: before it, or after it and before anybody hears of it.
final class MortalDatabase: Database {
    private struct State {
        var commitsLeft: Int
        var isDead = false
    }

    let inner: any Database
    private let diesAfterCommit: Bool
    private let state: Mutex<State>

    /// Lives until it is killed.
    convenience init(_ inner: any Database) { self.init(inner, dyingAt: .max, afterIt: false) }

    init(_ inner: any Database, dyingAt commit: Int, afterIt: Bool) {
        self.inner = inner
        diesAfterCommit = afterIt
        state = Mutex(State(commitsLeft: commit))
    }

    var isDead: Bool { state.withLock { $0.isDead } }

    func kill() { state.withLock { $0.isDead = true } }

    func write<Result: Sendable>(
        _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result {
        let isLast = try state.withLock { state in
            if state.isDead { throw ProcessDied() }
            state.commitsLeft -= 1
            if state.commitsLeft == 0 { state.isDead = true }
            return state.isDead
        }
        if isLast, !diesAfterCommit { throw ProcessDied() }
        let result = try await inner.write(label, body)
        if isLast { throw ProcessDied() }
        return result
    }

    func read<Result: Sendable>(_ body: @escaping @Sendable (any Transaction) throws -> Result) async throws -> Result {
        if isDead { throw ProcessDied() }
        return try await inner.read(body)
    }
}

struct ProcessDied: Error {}

@Suite struct CrashSweepTests {
    private let caller = Rig.operatorCaller

    /// How the stop comes to be left to a job.
    enum Reason: CaseIterable {
        case hostIsAway
        case answerIsLost
    }

    @Test(arguments: Reason.allCases, [false, true])
    func `a server that dies at any commit of the deferred path ends it after a restart`(
        reason: Reason, afterCommit: Bool
    ) async throws {
        var commit = 1
        var survived = false
        while !survived {
            let rig = try await Rig()
            try await prepare(rig, reason)
            survived = try await runDeferredStop(on: rig, reason, dyingAt: commit, afterCommit)
            commit += 1
        }
        #expect(commit > 7, "the path has fewer commits than it must have")
    }

    /// VM `v` runs on A, which is then cut off, or loses the answer to the first stop that it gets.
    private func prepare(_ rig: Rig, _ reason: Reason) async throws {
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
        switch reason {
        case .hostIsAway: try await rig.cut(rigHostA)
        case .answerIsLost:
            let isFirst = Mutex(true)
            rig.hosts.decideFate { command in
                guard case .stop = command else { return .deliver }
                return isFirst.withLock { isFirst in
                    defer { isFirst = false }
                    return isFirst ? .loseAnswer : .deliver
                }
            }
        }
    }

    /// Runs the path on a server that dies at `commit`, then on its successor; true if it did not die.
    private func runDeferredStop(
        on rig: Rig, _ reason: Reason, dyingAt commit: Int, _ afterCommit: Bool
    ) async throws -> Bool {
        let mortal = MortalDatabase(rig.database, dyingAt: commit, afterIt: afterCommit)
        let first = rig.context.replacing(database: mortal)
        let engine = Task { try await JobEngine(first).run() }
        try? await stopLater(on: rig, reason, first, mortal)
        engine.cancel()
        _ = await engine.result
        // The successor: no session survives the process, and the client repeats what it got no answer to.
        try await rig.forgetSessions()
        rig.hosts.change(rigHostA) { $0.isConnected = false }
        let successor = rig.startEngine()
        defer { successor.cancel() }
        let state = try await rig.vm().state
        if state.label == .unknown || state.label == .running {
            _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        }
        try await rig.connect(rigHostA)
        _ = try await eventually("the stop has ended after a death at commit \(commit)") {
            let vm = try await rig.vm()
            return try await rig.gcJobs().allSatisfy { $0.state.isEnded } && vm.operation == nil
                && vm.state.label == .stopped ? true : nil
        }
        let vm = try await rig.vm()
        #expect(vm.state.label == .stopped, "commit \(commit)")
        #expect(vm.operation == nil, "commit \(commit)")
        #expect(rig.hosts.host(rigHostA).domains.isEmpty, "commit \(commit)")
        let stops = rig.hosts.log.filter { $0 == "A stop 1" }
        switch reason {
        case .hostIsAway: #expect(stops.count == 1, "commit \(commit)")
        // The user's stop, and the job's, which finds nothing.
        case .answerIsLost: #expect((1...2).contains(stops.count), "commit \(commit)")
        }
        return !mortal.isDead
    }

    /// The deferred stop, accepted and carried out by the server that `context` is, for as long as it lives.
    private func stopLater(
        on rig: Rig, _ reason: Reason, _ context: Context, _ mortal: MortalDatabase
    ) async throws {
        _ = try await VMService(context).stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        switch reason {
        case .hostIsAway: try await rig.connect(rigHostA, as: HostSessionService(context))
        case .answerIsLost: break
        }
        _ = try await eventually("dead or done") {
            if mortal.isDead { return true }
            let jobs = try await rig.gcJobs()
            return jobs.count == 1 && jobs[0].state.isEnded ? true : nil
        }
    }
}

extension Context {
    func replacing(database: any Database) -> Context {
        Context(
            database: database, sessions: sessions, time: time, ids: ids, random: random, faults: faults, feed: feed,
            settings: settings, logger: logger)
    }
}

extension Rig {
    func connect(_ host: HostID, as service: HostSessionService) async throws {
        let hello = AgentHello(
            host: host, instance: "i",
            facts: HostFacts(
                cpus: 8, memory: 8192, agentVersion: "test",
                hypervisor: HypervisorFacts(domainType: "qemu", reason: "", libvirtVersion: "", qemuVersion: ""),
                pool: hosts.host(host).pool))
        let grant = try await service.open(hello)
        hosts.change(host) {
            $0.isConnected = true
            $0.session = grant.session
        }
        try await service.established(grant, hello: hello, inventory: hosts.inventory(host))
    }
}
