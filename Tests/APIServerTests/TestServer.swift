import ControlPlane
import Domain
import Foundation
import ImageStore
import Logging
import Platform
import SQLStore

@testable import APIServer

/// The real server on a real port, with the real store and image files, and no hosts.
struct TestServer: Sendable {
    static let token = "the-test-token"

    let port: Int
    let directory: String
    let database: SQLiteDatabase
    let context: Context
    let table: RouteTable
    private let stopper: Stopper

    /// Runs `body` against a fresh server, then stops it and removes its directory.
    static func run(
        limits: HTTPLimits = HTTPLimits(), tls: HTTPFront.ServerIdentity? = nil,
        _ body: @escaping @Sendable (TestServer) async throws -> Void
    ) async throws {
        let directory = NSTemporaryDirectory() + "roost-api-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let feed = CommitFeed()
        let database = try SQLiteDatabase(
            path: "\(directory)/roost.db", clock: SystemTime(), faults: NoFaultPoints(), logger: logger,
            onCommit: { _, jobsTouched in feed.committed(jobsTouched: jobsTouched) })
        let context = Context(
            database: database, sessions: NoSessions(), time: SystemTime(), ids: SystemIDs(), random: SystemRandom(),
            faults: NoFaultPoints(), feed: feed, settings: ControlSettings(node: "node-1"), logger: logger)
        let authenticator = Authenticator(database)
        try await authenticator.register(tokenHash: sha256(token), for: Principal(name: "admin"))
        let files = try DiskImageFiles(directory: "\(directory)/images")
        let services = APIServices(
            vms: VMService(context), hosts: HostService(context, secrets: FixedSecrets()),
            images: ImageService(context, files: files, sizeLimit: limits.fileBytes), jobs: JobService(context),
            events: EventService(context), recovery: RecoveryService(context), nodes: NodeList(context),
            authenticator: authenticator,
            time: SystemTime(), ids: SystemIDs(),
            node: "node-1", version: "0.0.1")
        let front = HTTPFront(
            services, listen: ListenAddress(host: "127.0.0.1", port: 0), tls: tls, limits: limits, logger: logger)
        let stopper = Stopper(front, logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await stopper.run() }
            let server = TestServer(
                port: try await front.port(), directory: directory, database: database, context: context,
                table: Responder.table(services, metrics: Metrics(services), limits: limits), stopper: stopper)
            do {
                try await body(server)
            } catch {
                await stopper.stop()
                try await group.waitForAll()
                throw error
            }
            await stopper.stop()
            try await group.waitForAll()
        }
    }

    /// Asks the server to stop, as SIGTERM does.
    func stop() async { await stopper.stop() }

    /// An answer to a request on a connection of its own.
    func send(
        _ method: String, _ path: String, body: String? = nil, headers: [(String, String)] = [],
        token: String? = TestServer.token
    ) async throws -> RawAnswer {
        var fields = headers
        if let token { fields.append(("Authorization", "Bearer \(token)")) }
        if let body {
            if !fields.contains(where: { $0.0 == "Content-Type" }) {
                fields.append(("Content-Type", "application/json"))
            }
            fields.append(("Content-Length", String(body.utf8.count)))
        }
        let head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        let text = head + fields.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n" + (body ?? "")
        return try await exchange(Array(text.utf8))
    }

    /// Sends bytes as they are and reads until the server closes.
    func exchange(_ bytes: [UInt8], closesOutput: Bool = false) async throws -> RawAnswer {
        let connection = try await RawConnection.open(port: port)
        return try await connection.exchange(bytes, closesOutput: closesOutput)
    }

    /// Records a finished image, so that VMs can be made.
    func addImage(_ name: String) async throws -> Image {
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        let image = Image(
            id: ImageID(trusted: SystemIDs().uuid()), name: name, kind: .disk, commandLine: "",
            files: [ImageFile(part: .disk, format: .qcow2, size: 1, virtualSize: 1, sha256: "00")], createdAt: now,
            updatedAt: now)
        try await database.write("test.image") { try $0.insert(image) }
        return image
    }

    func addHost(_ name: String, connection: Domain.Host.Connection = .disconnected) async throws -> Domain.Host {
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        let facts = HostFacts(
            cpus: 8, memory: 16_384, agentVersion: "0.0.1",
            hypervisor: HypervisorFacts(domainType: "qemu", reason: "test", libvirtVersion: "9", qemuVersion: "7"),
            pool: PoolID(trusted: SystemIDs().uuid()))
        let host = Domain.Host(
            id: HostID(trusted: SystemIDs().uuid()), name: name, connection: connection, session: 1,
            libvirtAnswers: true, bootID: "b", facts: facts, createdAt: now, updatedAt: now)
        try await database.write("test.host") { try $0.insert(host) }
        return host
    }
}

/// No agent is ever there.
struct NoSessions: HostSessions {
    private let fault = Fault(.unavailable, .hostUnreachable, "The host cannot be reached.")
    func send(_ command: HostCommand, id: CommandID, to host: HostID, limit: Duration) async -> CommandEnd {
        .notSent(fault)
    }
    func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement { .unknown(fault) }
    func acknowledge(_ id: CommandID, on host: HostID) async {}
    func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory { throw fault }
    func holdings(of host: HostID, limit: Duration) async throws(Fault) -> HostHoldings { throw fault }
    func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8] { throw fault }
    func disconnect(_ host: HostID, reason: String) async {}
    func disconnectAll(reason: String) async {}
}

struct FixedSecrets: SecretSource {
    func joinSecret() throws -> JoinSecret { JoinSecret(token: "roost-join-secret", hash: sha256(UUID().uuidString)) }
}
