import ControlPlane
import Domain
import Foundation
import HostGateway
import Identity
import Logging
import Platform
import ServerLink
import ServiceLifecycle
import Testing

/// A gateway on a free port, and agents that dial it.
struct Bench: Sendable {
    let authority: CertificateAuthority
    let observer: FakeObserver
    let images: FakeImages
    let registry: SessionRegistry
    let server: GatewayServer
    let port: Int
    let directory: String

    /// Runs `body` with a serving gateway, and takes everything down.
    static func run(
        settings: GatewaySettings = .quick, _ body: @escaping @Sendable (Bench) async throws -> Void
    ) async throws {
        let directory = try temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let authority = try CertificateAuthority.open(in: directory)
        let observer = FakeObserver()
        let images = FakeImages()
        let registry = SessionRegistry(settings: settings)
        let server = try GatewayServer(
            host: "127.0.0.1", port: 0, authority: authority, observer: observer, images: images, registry: registry,
            settings: settings, logger: quietLogger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask {
                try await body(
                    Bench(
                        authority: authority, observer: observer, images: images, registry: registry, server: server,
                        port: try await server.port, directory: directory))
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// A host that has joined already: its files lie in a directory of its own.
    func joinedHost(_ host: HostID = freshHost(), by signer: CertificateAuthority? = nil) throws -> AgentIdentityFiles {
        let files = AgentIdentityFiles(directory: try temporaryDirectory(in: directory))
        let newcomer = try files.newcomer()
        let certificate = try (signer ?? authority).issueHostCertificate(
            for: host.rawValue, publicKey: .init(newcomer.key.publicKey))
        try files.save(
            AgentIdentity(key: newcomer.key, certificate: certificate, authority: authority.certificate))
        return files
    }

    /// A join token for `host` that the fake control plane knows.
    func token(for host: HostID) throws -> JoinTokenText {
        let token = try JoinTokenText(for: authority)
        observer.add(tokenHash: token.secretHash, for: host)
        return token
    }

    /// Runs an agent while `body` does.
    func withAgent(
        _ inbox: FakeInbox, files: AgentIdentityFiles, token: JoinTokenText? = nil, port: Int? = nil,
        images: ServerImages = ServerImages(logger: quietLogger), settings: LinkSettings = .quick,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let connection = ServerConnection(
            servers: [ServerAddress(host: "127.0.0.1", port: port ?? self.port)], files: files, joinToken: token,
            inbox: inbox, images: images, settings: settings, logger: quietLogger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await connection.run() }
            group.addTask { try await body() }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Returns when `host` has an established session with at least this number.
    func awaitSession(_ host: HostID, atLeast number: Int64 = 1) async throws {
        try await eventually("a session of \(host)") {
            observer.told.contains {
                if case .established(host, let session, _) = $0 { session >= number } else { false }
            } && registry.count > 0
        }
    }

    /// Returns the reason with which session `number` of `host` was closed.
    func awaitClosed(_ host: HostID, _ number: Int64, within limit: Duration = .seconds(10)) async throws -> String {
        var found = ""
        try await eventually("the end of session \(number)", within: limit) {
            for case .closed(host, number, let reason) in observer.told {
                found = reason
                return true
            }
            return false
        }
        return found
    }
}

/// Images whose bytes are made up.
final class FakeImages: ImageFiles {
    func store(
        _ part: ImageFile.Part, of image: ImageID, rawDisk: Bool, limit: Int64,
        from bytes: any AsyncSequence<[UInt8], any Error> & Sendable
    ) async throws -> ImageFile {
        throw Fault(.bug, .internalError, "Not used here.")
    }

    func read(
        _ part: ImageFile.Part, of image: ImageID
    ) async throws -> any AsyncSequence<[UInt8], any Error> & Sendable {
        guard part == .disk else { throw Fault.notFound("image", image.rawValue) }
        return AsyncThrowingStream { continuation in
            for piece in Self.pieces { continuation.yield(piece) }
            continuation.finish()
        }
    }

    func remove(_ image: ImageID) async throws {}

    static let pieces: [[UInt8]] = [
        [], Array(repeating: 1, count: 10), Array(repeating: 2, count: 700_000), Array(repeating: 3, count: 300_000),
    ]
}

extension GatewaySettings {
    /// Short times, so that silence is noticed while the reader waits.
    static var quick: GatewaySettings {
        var settings = GatewaySettings()
        settings.pingInterval = .milliseconds(100)
        settings.silenceLimit = .milliseconds(800)
        settings.rivalLimit = .milliseconds(500)
        return settings
    }
}

extension LinkSettings {
    static var quick: LinkSettings {
        var settings = LinkSettings()
        settings.retryBase = .milliseconds(10)
        settings.retryCap = .milliseconds(100)
        settings.refusedRetry = .milliseconds(200)
        settings.welcomeLimit = .seconds(2)
        return settings
    }
}

let quietLogger: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = ProcessInfo.processInfo.environment["ROOST_TEST_LOG"] == nil ? .critical : .trace
    return logger
}()

struct TimedOut: Error, CustomStringConvertible {
    let description: String
}

/// Returns when `condition` holds; throws when it does not within `limit`.
func eventually(
    _ what: String, within limit: Duration = .seconds(40), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut(description: "waited in vain for \(what)") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

func temporaryDirectory(in parent: String = NSTemporaryDirectory()) throws -> String {
    let path = parent + "/roost-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}

func freshHost() -> HostID { HostID(from: SystemIDs()) }
func freshCommand() -> CommandID { CommandID(from: SystemIDs()) }
func freshInbox() -> FakeInbox { FakeInbox(instance: SystemIDs().uuid()) }
