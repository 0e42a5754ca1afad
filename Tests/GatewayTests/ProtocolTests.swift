import AgentContract
import Domain
import Foundation
import HostAgent
import HostGateway
import Identity
import Logging
import ServerLink
import ServiceLifecycle
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ProtocolTests {
    private func probing(
        settings: GatewaySettings = .quick,
        _ body: @escaping @Sendable (SessionProbe, Bench, HostID) async throws -> Void
    ) async throws {
        try await Bench.run(settings: settings) { bench in
            let host = freshHost()
            let identity = try #require(try bench.joinedHost(host).load())
            let probe = try SessionProbe(port: bench.port, credential: try identity.credential, bench.authority)
            defer { probe.hangUp() }
            try await body(probe, bench, host)
        }
    }

    private let empty = Inventory(bootID: "b", libvirtAnswered: true, domains: [], sequence: 1)

    @Test(arguments: [(0, 0), (2, 2), (3, 2)])
    func `an agent that speaks no version which the server knows is refused`(version: Int, oldest: Int) async throws {
        try await probing { probe, bench, _ in
            let hello = SessionProbe.hello(empty, instance: "i", version: version, oldest: oldest)
            let refusal = try await probe.refusal(of: [hello])
            #expect(refusal == .protocolMismatch)
            #expect(bench.observer.told.isEmpty)
        }
    }

    @Test func `an agent of the next release, which still speaks this one's version, is let in`() async throws {
        try await probing { probe, bench, _ in
            let hello = SessionProbe.hello(empty, instance: "i", version: 2, oldest: 1)
            let session = Task { try await probe.refusal(of: [hello]) }
            defer { session.cancel() }
            try await eventually("the session is open") { bench.observer.openCount == 1 }
            session.cancel()
            _ = await session.result
        }
    }

    @Test func `a fault whose name a later release gave it keeps all else that it says`() throws {
        let later = WireFault.with {
            ($0.kind, $0.code, $0.message) = ("unavailable", "moon-phase", "The moon is full.")
        }
        let fault = try Fault(reading: later)
        #expect(fault == Fault(.unavailable, .unnamed, "The moon is full."))
    }

    @Test func `a session that does not begin with a hello is refused`() async throws {
        try await probing { probe, bench, _ in
            let refusal = try await probe.refusal(of: [.with { $0.lostSight = WireLostSight() }])
            #expect(refusal == .protocolMismatch)
            #expect(bench.observer.told.isEmpty)
        }
    }

    @Test func `a message of an unknown kind or with an unknown value ends the session`() async throws {
        try await probing { probe, bench, host in
            let hello = SessionProbe.hello(empty, instance: "i")
            let refusalOfKind = try await probe.refusal(of: [hello, WireAgentMessage()])
            #expect(refusalOfKind == .protocolMismatch)
            var change = WireDomainChanged(vm: testVM, epoch: Epoch(1), state: .running, sequence: 1)
            change.state.kind = .UNRECOGNIZED(9)
            let unknown = change
            let refusalOfValue = try await probe.refusal(of: [hello, .with { $0.domainChanged = unknown }])
            #expect(refusalOfValue == .protocolMismatch)
            #expect(!bench.observer.told.contains(.change(host, 2, sequence: 1)))
        }
    }

    @Test func `an agent that does not say hello is sent away`() async throws {
        var settings = GatewaySettings.quick
        settings.helloLimit = .milliseconds(200)
        try await probing(settings: settings) { probe, bench, _ in
            let heard = try await probe.session([])
            #expect(heard.isEmpty)
            #expect(bench.observer.told.isEmpty)
        }
    }

    @Test func `a hello that nobody stands behind any more establishes nothing`() async throws {
        var settings = GatewaySettings.quick
        settings.silenceLimit = .seconds(60)
        settings.inventoryLimit = .milliseconds(200)
        try await probing(settings: settings) { probe, bench, host in
            let refusal = try await probe.refusal(of: [SessionProbe.hello(empty, instance: "i")])
            #expect(refusal == .hostUnreachable)
            _ = try await bench.awaitClosed(host, 1)
            #expect(bench.observer.told.count == 2)
        }
    }

    @Test func `an agent that answers no ping is closed as silent`() async throws {
        try await probing { probe, bench, host in
            let heard = try await probe.session([SessionProbe.hello(empty, instance: "i")])
            let welcome = try #require(heard.first { $0.kind == .welcome($0.welcome) }).welcome
            #expect(welcome.session == 1 && welcome.silenceLimitMs == 800)
            #expect(heard.count > 2)
            #expect(try await bench.awaitClosed(host, 1).hasPrefix("nothing was heard"))
        }
    }

    // MARK: Images

    @Test func `an image arrives whole and in chunks`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let images = ServerImages(logger: quietLogger)
            let id = ImageID(trusted: freshHost().rawValue)
            await #expect(throws: Fault.self) { _ = try await images.fetch(.disk, of: id) }
            try await bench.withAgent(freshInbox(), files: try bench.joinedHost(host), images: images) {
                try await bench.awaitSession(host)
                var received: [UInt8] = []
                try await collect(try await images.fetch(.disk, of: id)) { chunk in
                    #expect(chunk.count <= AgentProtocol.imageChunk)
                    received += chunk
                }
                #expect(received == FakeImages.pieces.flatMap { $0 })
                await #expect(throws: Fault.notFound("image", id.rawValue)) {
                    try await collect(try await images.fetch(.kernel, of: id)) { _ in }
                }
                // Abandoned after the first chunk: the session goes on.
                try await abandon(try await images.fetch(.disk, of: id))
                let end = await bench.registry.send(coldStop, id: freshCommand(), to: host, limit: .seconds(5))
                guard case .done = end else { return #expect(Bool(false), "\(end)") }
            }
        }
    }

    private func collect(
        _ bytes: some AsyncSequence<[UInt8], any Error>, _ take: ([UInt8]) -> Void
    ) async throws {
        for try await chunk in bytes { take(chunk) }
    }

    private func abandon(_ bytes: some AsyncSequence<[UInt8], any Error>) async throws {
        for try await _ in bytes { return }
    }

    // MARK: Shutdown

    @Test func `a server that shuts down says goodbye, and ends`() async throws {
        try await shuttingDown { bench, group in
            let host = freshHost()
            let files = try bench.joinedHost(host)
            try await bench.withAgent(freshInbox(), files: files) {
                try await bench.awaitSession(host)
                await group.triggerGracefulShutdown()
                #expect(try await bench.awaitClosed(host, 1) == "the server shuts down")
            }
        }
    }

    @Test func `a port that is taken is named with what to do`() async throws {
        try await Bench.run { bench in
            let second = try GatewayServer(
                host: "127.0.0.1", port: bench.port, authority: bench.authority, observer: bench.observer,
                images: bench.images, registry: SessionRegistry(), logger: quietLogger)
            let failure = await #expect(throws: ListenFailure.self) { try await second.run() }
            #expect(failure?.description.hasPrefix("The listener for agents at 127.0.0.1:\(bench.port) failed") == true)
        }
    }

    private func shuttingDown(
        _ body: @escaping @Sendable (Bench, ServiceGroup) async throws -> Void
    ) async throws {
        let directory = try temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let authority = try CertificateAuthority.open(in: directory)
        let (observer, images) = (FakeObserver(), FakeImages())
        let registry = SessionRegistry(settings: .quick)
        let server = try GatewayServer(
            host: "127.0.0.1", port: 0, authority: authority, observer: observer, images: images, registry: registry,
            settings: .quick, logger: quietLogger)
        let group = ServiceGroup(services: [server], logger: quietLogger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            tasks.addTask {
                try await body(
                    Bench(
                        authority: authority, observer: observer, images: images, registry: registry, server: server,
                        port: try await server.port, directory: directory), group)
            }
            try await tasks.waitForAll()
        }
    }

    @Test func `an agent that shuts down lets its command end first`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let inbox = freshInbox()
            inbox.hold(true)
            let connection = ServerConnection(
                servers: [ServerAddress(host: "127.0.0.1", port: bench.port)], files: try bench.joinedHost(host),
                joinToken: nil, inbox: inbox, images: ServerImages(logger: quietLogger), settings: .quick,
                logger: quietLogger)
            let group = ServiceGroup(services: [connection], logger: quietLogger)
            async let running: Void = group.run()
            try await bench.awaitSession(host)
            let id = freshCommand()
            async let end = bench.registry.send(coldStop, id: id, to: host, limit: .seconds(30))
            try await eventually("the command") { inbox.executed == [id] }
            await group.triggerGracefulShutdown()
            // Soon it takes up no more: a command that arrives then is as if it had never been received.
            try await eventually("a command that is not taken up") {
                let late = freshCommand()
                let end = await bench.registry.send(coldStop, id: late, to: host, limit: .milliseconds(100))
                guard case .outcomeUnknown = end else { return false }
                return !inbox.executed.contains(late)
            }
            for id in inbox.underWay { inbox.finish(id, with: .done(CommandResult(effect: .stopped, sequence: 5))) }
            guard case .done = await end else { return #expect(Bool(false)) }
            #expect(try await bench.awaitClosed(host, 1) == "its agent ended the session")
            try await running
        }
    }

    @Test func `many agents come back after their server was away`() async throws {
        try await Bench.run { bench in
            let proxy = try TCPProxy(to: bench.port)
            defer { proxy.close() }
            let hosts = (0..<20).map { _ in freshHost() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for host in hosts {
                    let files = try bench.joinedHost(host)
                    group.addTask {
                        try await bench.withAgent(freshInbox(), files: files, port: proxy.port) {
                            try await bench.awaitSession(host)
                            // Counted so that it stays true: one may leave before another has looked.
                            try await eventually("all sessions") {
                                let established = bench.observer.told.filter {
                                    if case .established = $0 { true } else { false }
                                }
                                return established.count >= hosts.count
                            }
                            if host == hosts[0] { proxy.cut() }
                            try await eventually("a second session", within: .seconds(20)) {
                                bench.observer.told.contains {
                                    if case .established(host, let session, _) = $0 { session > 20 } else { false }
                                }
                            }
                            // Nobody leaves before all are back.
                            try await eventually("all sessions again", within: .seconds(20)) {
                                bench.observer.openCount >= 40
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func `addresses are read, and nonsense is not`() {
        #expect(ServerAddress(parsing: "roost.example:7443") == ServerAddress(host: "roost.example", port: 7443))
        #expect(ServerAddress(parsing: "[::1]:7443") == ServerAddress(host: "::1", port: 7443))
        #expect(ServerAddress(parsing: "[::1]:7443")?.description == "[::1]:7443")
        for text in ["", "host", "host:", ":1", "::1", "a:b", "host:0", "host:65536", "1:2:3"] {
            #expect(ServerAddress(parsing: text) == nil, "\(text)")
        }
    }
}
