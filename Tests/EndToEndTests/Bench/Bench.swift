import APIContract
import Foundation
import Testing

/// Real hosts on this machine: the tests' side of `Bench/bench`.
///
/// Each bench has a directory of its own, and ends with this process, however that ends.
struct Bench: Sendable {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path()

    let directory: String
    /// Where tests steer the fault points of the server and of each agent.
    let faults: String
    /// Whose API the client speaks to, of the servers of the bench.
    private var server = 1
    /// The database of each server; none for a file of its own.
    private var databases: [String] = []
    /// How the servers are started, besides what the bench says.
    private var serverArguments = ["--silence-limit", "2", "--start-limit", "5", "--log-level", "debug"]

    private init(directory: String, faults: String) {
        self.directory = directory
        self.faults = faults
    }

    /// A bench with hosts `h1` … and a server, all connected, and an image `tiny`.
    ///
    /// - Parameters:
    ///   - database: a PostgreSQL database for the servers; nil for a file of its own.
    ///   - servers: how many servers share that database.
    static func up(
        hosts count: Int, _ name: String, pool: String = "shared", database: String? = nil, servers: Int = 1
    ) async throws -> Bench {
        try await up(
            hosts: count, name, pool: pool, databases: database.map { Array(repeating: $0, count: servers) } ?? [])
    }

    /// The same, with as many servers as `databases` has ways to the one database that they share.
    static func up(
        hosts count: Int, _ name: String, pool: String = "shared", databases: [String], nodeLease: Int = 4
    ) async throws -> Bench {
        let servers = max(databases.count, 1)
        let base = ProcessInfo.processInfo.environment["ROOST_TEST_DIR"] ?? "\(root)/.roost/test"
        let directory = "\(base)/\(name)-\(UUID().uuidString.prefix(8).lowercased())"
        var bench = Bench(directory: directory, faults: "\(directory)-faults")
        bench.databases = databases
        if !databases.isEmpty { bench.serverArguments += ["--node-lease", "\(nodeLease)"] }
        let others = (1...servers).dropFirst()
        for process in ["server"] + others.map({ "server\($0)" }) + (1...count).map({ "h\($0)" }) {
            try FileManager.default.createDirectory(
                atPath: "\(bench.faults)/\(process)", withIntermediateDirectories: true)
        }
        try await bench("up", "\(count)", "--owner", "\(getpid())", "--pool", pool)
        try await bench.startServer()
        for other in others { try await bench.startServer(other) }
        try "\(servers)\n".write(toFile: "\(directory)/servers", atomically: true, encoding: .utf8)
        for host in 1...count { try await bench.join("h\(host)") }
        let guest = try await Guest.build()
        try await bench.roost(
            "image", "create", "tiny", "--kernel", "\(guest)/vmlinuz", "--initrd", "\(guest)/initrd", "--append",
            "console=ttyS0")
        return bench
    }

    func down() async {
        _ = try? await command(["down"])
        try? FileManager.default.removeItem(atPath: faults)
    }

    // MARK: Commands

    /// Runs a bench command, which must succeed.
    @discardableResult
    func callAsFunction(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws
        -> Output
    {
        let output = try await command(arguments)
        guard output.status == 0 else {
            throw ProgramFailed(
                description:
                    "bench \(arguments.joined(separator: " ")): status \(output.status)\n\(output.out)\(output.err)")
        }
        return output
    }

    /// Runs the client, which must succeed.
    @discardableResult
    func roost(_ arguments: String...) async throws -> Output {
        let output = try await command(["roost"] + arguments)
        guard output.status == 0 else {
            throw ProgramFailed(
                description:
                    "roost \(arguments.joined(separator: " ")): status \(output.status)\n\(output.out)\(output.err)")
        }
        return output
    }

    /// Runs the client, whatever comes of it.
    func tryRoost(_ arguments: String...) async throws -> Output { try await tryRoost(arguments: arguments) }

    func tryRoost(arguments: [String]) async throws -> Output { try await command(["roost"] + arguments) }

    /// Runs a bench command, whatever comes of it.
    func attempt(_ arguments: String...) async throws -> Output { try await command(arguments) }

    private func command(
        _ arguments: [String], faultsOf process: String? = nil, clock: String? = nil
    ) async throws -> Output {
        var environment: [String: String] = [:]
        if let clock { environment["ROOST_BENCH_CLOCK"] = clock }
        if let process { environment["ROOST_FAULTS"] = "\(faults)/\(process)" }
        if server > 1 { environment["ROOST_SERVER"] = "http://127.0.0.1:\(7079 + server)" }
        return try await Program.run(
            "\(Self.root)/Bench/bench", ["--dir", directory] + arguments, environment: environment)
    }

    // MARK: The parts of the bench

    /// The same bench, with its clients speaking to another one of its servers.
    func through(_ server: Int) -> Bench {
        var bench = self
        bench.server = server
        return bench
    }

    /// - Parameter clock: how far the server's wall clock is off, as `+1d` or `-2d`.
    func startServer(_ number: Int = 1, clock: String? = nil) async throws {
        var arguments = ["server", "\(number)", "start", "--"] + serverArguments
        if !databases.isEmpty { arguments += ["--database", databases[number - 1]] }
        let output = try await command(arguments, faultsOf: Self.serverName(number), clock: clock)
        guard output.status == 0 else { throw ProgramFailed(description: output.err) }
    }

    /// What a server's log and its fault points are called.
    static func serverName(_ number: Int) -> String { number == 1 ? "server" : "server\(number)" }

    func startAgent(_ host: String) async throws {
        let output = try await command(["agent", host, "start", "--", "--acceleration", "qemu"], faultsOf: host)
        guard output.status == 0 else { throw ProgramFailed(description: output.err) }
    }

    private func join(_ host: String) async throws {
        let added = try await roost("host", "add", host, "-o", "json").json(AddedHost.self)
        let output = try await command(
            ["agent", host, "join", added.joinToken, "--", "--acceleration", "qemu"], faultsOf: host)
        guard output.status == 0 else { throw ProgramFailed(description: output.err) }
        try await connected(host)
    }

    /// Returns once `host` is connected.
    func connected(_ host: String) async throws {
        try await until("\(host) is connected", limit: 30) { try await self.host(host).connection == "connected" }
    }

    func disconnected(_ host: String) async throws {
        try await until("\(host) is disconnected", limit: 20) { try await self.host(host).connection == "disconnected" }
    }

    /// Whatever an earlier test left broken works again.
    func restore(_ hosts: [String]) async throws {
        if let names = try? FileManager.default.subpathsOfDirectory(atPath: faults) {
            for name in names where name.contains(".") {
                try? FileManager.default.removeItem(atPath: "\(faults)/\(name)")
            }
        }
        if try await self("server", "status").out.hasPrefix("stopped") { try await startServer() }
        for host in hosts {
            // Says no where the power is on.
            _ = try await command(["power", host, "on"])
            try await self("heal", host)
            // Says no where it is not frozen.
            _ = try await command(["libvirtd", host, "thaw"])
            if try await self("libvirtd", host, "status").out.hasPrefix("stopped") {
                try await self("libvirtd", host, "start")
            }
            if try await self("agent", host, "status").out.hasPrefix("stopped") { try await startAgent(host) }
            try await connected(host)
            try await roost("host", "enable", host)
            try await until("libvirt on \(host) answers", limit: 30) { try await self.host(host).libvirtAnswers }
        }
    }

    // MARK: What Roost says

    func vm(_ name: String) async throws -> VMResource { try await roost("vm", "show", name, "-o", "json").json() }

    func host(_ name: String) async throws -> HostResource {
        try await roost("host", "show", name, "-o", "json").json()
    }

    func gcJobs(of vm: String) async throws -> [GCJobResource] {
        try await roost("gc", "list", "--vm", vm, "--all", "-o", "json").json(Page<GCJobResource>.self).items
    }

    /// The VM's only GC job besides those that release placements, once it has ended.
    func endedGCJob(of vm: String) async throws -> GCJobResource {
        var found: GCJobResource?
        try await until("the GC job of \(vm) ends", limit: 40) {
            let jobs = try await gcJobs(of: vm).filter { $0.kind != "release-placement" }
            guard jobs.count == 1, jobs[0].endedAt != nil else { return false }
            found = jobs[0]
            return true
        }
        guard let found else { throw ProgramFailed(description: "no GC job of \(vm)") }
        return found
    }

    /// Waits until the VM is in `state`.
    @discardableResult
    func vm(_ name: String, becomes state: String, limit: Double = 30) async throws -> VMResource {
        var last: VMResource?
        do {
            try await until("\(name) is \(state)", limit: limit) {
                last = try await vm(name)
                return last?.state == state
            }
        } catch {
            throw ProgramFailed(description: "\(error): it is \(String(describing: last))")
        }
        guard let last else { throw ProgramFailed(description: "nothing is known of \(name)") }
        return last
    }

    /// A new VM that runs on `host`, with its console alive.
    @discardableResult func runningVM(_ name: String, on host: String, image: String = "tiny") async throws
        -> VMResource
    {
        try await roost("vm", "create", name, "--image", image, "--cpus", "1", "--memory", "96", "--host", host)
        return try await vm(name, becomes: "running")
    }

    /// Waits until the guest has said `text` on its console.
    func console(of vm: String, says text: String, limit: Double = 60) async throws {
        try await until("the console of \(vm) says '\(text)'", limit: limit) {
            try await tryRoost("vm", "console", vm, "--log").out.contains(text)
        }
    }

    // MARK: What libvirt says

    /// The domains on `host` that libvirt shows, by their UUID.
    func domains(on host: String) async throws -> Set<String> {
        Set(
            try await self("virsh", host, "list", "--all", "--uuid").out.split(whereSeparator: \.isWhitespace).map(
                String.init))
    }

    // MARK: Faults

    func set(_ fault: String, _ what: String, on process: String) throws {
        FileManager.default.createFile(atPath: "\(faults)/\(process)/\(fault).\(what)", contents: nil)
    }

    func clear(_ fault: String, _ what: String, on process: String) throws {
        try FileManager.default.removeItem(atPath: "\(faults)/\(process)/\(fault).\(what)")
    }

    func isThere(_ fault: String, _ what: String, on process: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(faults)/\(process)/\(fault).\(what)")
    }
}

/// Waits for a condition, with a limit in seconds.
func until(_ what: String, limit: Double, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(limit)
    while ContinuousClock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    throw ProgramFailed(description: "timed out after \(limit) s: \(what)")
}

/// The tiny guest, built once.
enum Guest {
    private static let built = Task {
        let directory = "\(Bench.root)/.roost/cache/test-guest"
        let output = try await Program.run("\(Bench.root)/Bench/guest", [directory], limit: 300)
        guard output.status == 0 else { throw ProgramFailed(description: "guest: \(output.err)") }
        return directory
    }

    static func build() async throws -> String { try await built.value }
}
