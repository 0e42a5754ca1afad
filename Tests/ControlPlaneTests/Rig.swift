import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import Synchronization
import Testing

/// A whole control plane on a real store, with two hosts whose agents are simple.
struct Rig: Sendable {
    let database: any Database
    let hosts = SimpleHosts()
    let context: Context
    let gates: Gates

    static let operatorCaller = Caller(principal: Principal(name: "operator"))

    init(tuning tune: (inout ControlSettings) -> Void = { _ in }) async throws {
        let feed = CommitFeed()
        try await self.init(store: try RigStore(feed), feed: feed, tuning: tune)
    }

    init(
        store: any Database, feed: CommitFeed, tuning tune: (inout ControlSettings) -> Void = { _ in }
    ) async throws {
        let gates = Gates()
        self.gates = gates
        try await Self.seed(store)
        database = store
        context = Self.context(database, hosts, feed, gates, tune)
    }

    private static func context(
        _ database: any Database, _ hosts: SimpleHosts, _ feed: CommitFeed, _ gates: Gates,
        _ tune: (inout ControlSettings) -> Void
    ) -> Context {
        var settings = ControlSettings(node: "test")
        settings.retry = Backoff(base: .milliseconds(5), cap: .milliseconds(20))
        settings.hostRetry = .seconds(600)
        settings.sweepInterval = .milliseconds(200)
        tune(&settings)
        return Context(
            database: database, sessions: hosts, time: SystemTime(), ids: SystemIDs(), random: SystemRandom(),
            faults: gates, feed: feed, settings: settings,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private static func seed(_ store: any Database) async throws {
        try await store.write("seed") { tx in
            for (id, name) in [(rigHostA, "a"), (rigHostB, "b")] {
                try tx.insert(Host(id: id, name: name, createdAt: tx.now, updatedAt: tx.now))
            }
            let file = { (part: ImageFile.Part, format: ImageFile.Format) in
                ImageFile(part: part, format: format, size: 1, virtualSize: 1, sha256: "00")
            }
            try tx.insert(
                Image(
                    id: ImageID(trusted: "dddddddd-0000-4000-8000-000000000004"), name: "tiny", kind: .kernel,
                    commandLine: "", files: [file(.kernel, .kernel), file(.initrd, .initrd)], createdAt: tx.now,
                    updatedAt: tx.now))
        }
    }

    var vms: VMService { VMService(context) }
    var sessions: HostSessionService { HostSessionService(context) }
    var jobs: JobService { JobService(context) }
    var hostService: HostService { HostService(context, secrets: NoSecrets()) }

    struct NoSecrets: SecretSource {
        func joinSecret() -> JoinSecret { JoinSecret(token: "t", hash: UUID().uuidString) }
    }

    // MARK: Hosts come and go

    func connect(_ host: HostID) async throws {
        let hello = AgentHello(
            host: host, instance: UUID().uuidString,
            facts: HostFacts(
                cpus: 8, memory: 8192, agentVersion: "test",
                hypervisor: HypervisorFacts(domainType: "qemu", reason: "", libvirtVersion: "", qemuVersion: ""),
                pool: hosts.host(host).pool))
        let grant = try await sessions.open(hello)
        hosts.change(host) {
            $0.isConnected = true
            $0.session = grant.session
        }
        try await sessions.established(grant, hello: hello, inventory: hosts.inventory(host))
    }

    /// The server's process is over, and with it its sessions and leases.
    func forgetSessions() async throws { try await database.write("node.join") { try $0.freeStranded() } }

    func cut(_ host: HostID) async throws {
        hosts.change(host) { $0.isConnected = false }
        try await sessions.closed(host, session: hosts.host(host).session, reason: "test")
    }

    // MARK: Running

    /// Starts a job engine; the test cancels it when it ends.
    func startEngine() -> Task<Void, any Error> { Task { try await JobEngine(context).run() } }

    func vm(_ name: String = "v") async throws -> VM { try await vms.vm(name).vm }

    /// A VM that runs on host A with epoch 1.
    func runningVM(_ name: String = "v", on host: String = "a") async throws -> VM {
        _ = try await vms.create(NewVM(name: name, image: "tiny", cpus: 1, memory: 128), by: Self.operatorCaller)
        _ = try await vms.start(name, on: host, by: Self.operatorCaller)
        return try await eventually("\(name) runs") {
            let vm = try await vm(name)
            return vm.state.label == .running && vm.operation == nil ? vm : nil
        }
    }

    func start(_ name: String = "v", on host: String) async throws -> VM {
        let operation = try await vms.start(name, on: host, by: Self.operatorCaller)
        _ = try await jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
        return try await vm(name)
    }

    /// The VM's row; nil once it is removed.
    func record(of vm: VMID) async throws -> VM? { try await database.read { try $0.vm(vm) } }

    /// The events of one VM, oldest first; also of one whose record is gone.
    func events(of vm: VMID) async throws -> [Event] {
        try await database.read { try $0.events(after: 0, limit: 10_000) }.map(\.event).filter { $0.vm == vm }
    }

    func gcJobs(_ state: String? = nil) async throws -> [Job] {
        var query = ListQuery()
        query.filters["state"] = state
        return try await jobs.jobs(.gc, query).items
    }

    /// The one GC job, once it has ended; of those that release placements, or of the others.
    func endedGCJob(isRelease: Bool = false) async throws -> Job {
        try await eventually("the GC job ends") {
            let jobs = try await gcJobs().filter { ($0.kind == .releasePlacement) == isRelease }
            return jobs.count == 1 && jobs[0].state.isEnded ? jobs[0] : nil
        }
    }
}

extension Job {
    var outcome: JobOutcome? {
        switch state {
        case .ended(let end): end.outcome
        case .waiting, .running, .parked: nil
        }
    }

    /// Why it failed.
    var fault: Fault? {
        if case .ended(let end) = state { return end.fault }
        return nil
    }
}

/// Waits until `body` gives a value, for a while that is long on any machine.
func eventually<Value: Sendable>(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if let value = try await body() { return value }
        await Task.yield()
        try await Task.sleep(for: .milliseconds(2))
    }
    Issue.record("timed out: \(what)", sourceLocation: sourceLocation)
    throw TimedOut(what: what)
}

struct TimedOut: Error { let what: String }

/// Fault points that a test closes and opens.
final class Gates: FaultPoints {
    private struct State {
        var closed: Set<String> = []
        var held: [String: [CheckedContinuation<Void, Never>]] = [:]
    }

    private let state = Mutex(State())

    func close(_ name: String) { state.withLock { _ = $0.closed.insert(name) } }

    func open(_ name: String) {
        let held = state.withLock { state in
            state.closed.remove(name)
            return state.held.removeValue(forKey: name) ?? []
        }
        for continuation in held { continuation.resume() }
    }

    func isHolding(_ name: String) -> Bool { state.withLock { $0.held[name]?.isEmpty == false } }

    func reach(_ name: String) async {
        await withCheckedContinuation { continuation in
            let passes = state.withLock { state in
                guard state.closed.contains(name) else { return true }
                state.held[name, default: []].append(continuation)
                return false
            }
            if passes { continuation.resume() }
        }
    }

    func reachBlocking(_ name: String) {}
}
