import APIContract
import Synchronization
import Testing

/// Looks again and again at what runs on the hosts of a bench, and holds it against what the server says.
struct Watcher: Sendable {
    let api: BenchAPI
    let sight: any HostView
    let hosts: [String]
    let found: @Sendable (_ violation: String) -> Void
    var looked: @Sendable () -> Void = {}

    /// Until the task is cancelled.
    func run() async {
        var doublesBefore: [String: [String]] = [:]
        var told: [String: [String]] = [:]
        var listBefore = try? await vms()
        while !Task.isCancelled {
            let seen = await look()
            let list = try? await vms()
            let sample = RandomSample(before: listBefore ?? [], seen: seen, after: list ?? [])
            told = told.filter { sample.doubles[$0.key] == $0.value }
            for (domain, hosts) in sample.doubles where doublesBefore[domain] == hosts && told[domain] == nil {
                told[domain] = hosts
                var evidence: [String] = []
                for host in hosts { evidence.append("\(host) \(await sight.evidence(of: domain, on: host))") }
                found("\(domain) runs on \(hosts): \(evidence.joined(separator: "; "))")
            }
            sample.contradictions.forEach(found)
            doublesBefore = sample.doubles
            listBefore = list
            looked()
            try? await Task.sleep(for: .milliseconds(700))
        }
    }

    /// The domains on each host whose libvirt answers.
    func look() async -> [String: [HostSight.Domain]] {
        await withTaskGroup(of: (String, [HostSight.Domain]?).self) { group in
            for host in hosts { group.addTask { (host, await sight.domains(on: host)) } }
            return await group.reduce(into: [:]) { seen, found in
                if let domains = found.1 { seen[found.0] = domains }
            }
        }
    }

    private func vms() async throws -> [VMResource] { try await api.all("/vms") }
}

/// Lets a watcher look at the shared bench all the while, and tells each test what was seen in its time.
struct Watched: TestTrait, SuiteTrait, TestScoping {
    private struct State {
        var violations: [String] = []
        var excused: [String] = []
        var task: Task<Void, Never>?
    }

    private static let state = Mutex(State())

    let isRecursive = true

    static func begin(_ bench: Bench, hosts: [String]) {
        let watcher = Watcher(
            api: BenchAPI(directory: bench.directory), sight: HostSight(directory: bench.directory), hosts: hosts,
            found: { violation in state.withLock { $0.violations.append(violation) } })
        state.withLock { state in
            if state.task == nil { state.task = Task { await watcher.run() } }
        }
    }

    /// The test lies to the server about this VM: what is seen of it proves nothing.
    static func excuse(_ vm: VMResource) { state.withLock { $0.excused.append(String(vm.id.prefix(8))) } }

    private static func take() -> [String] {
        state.withLock { state in
            defer { state.violations = [] }
            return state.violations.filter { seen in !state.excused.contains { seen.contains($0) } }
        }
    }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        defer { for violation in Self.take() { Issue.record("seen from outside: \(violation)") } }
        try await function()
    }
}
