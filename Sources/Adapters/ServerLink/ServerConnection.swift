import AgentContract
import Domain
import FoundationEssentials
import GRPCCore
package import HostAgent
package import Identity
package import Logging
import ServiceLifecycle
import Synchronization
import X509

/// The agent's connection to its servers: joins if need be, dials, and keeps a session as long as it runs.
package final class ServerConnection: Service {
    private let servers: [ServerAddress]
    private let files: AgentIdentityFiles
    private let joinToken: JoinTokenText?
    private let inbox: any AgentInbox
    private let images: ServerImages
    private let settings: LinkSettings
    private let logger: Logger
    private let runner: CommandRunner

    /// `servers` are tried in turn and must not be empty; `images` is fed with this connection.
    package init(
        servers: [ServerAddress], files: AgentIdentityFiles, joinToken: JoinTokenText?, inbox: any AgentInbox,
        images: ServerImages, settings: LinkSettings = LinkSettings(), logger: Logger
    ) {
        precondition(!servers.isEmpty, "an agent needs the address of a server")
        self.servers = servers
        self.files = files
        self.joinToken = joinToken
        self.inbox = inbox
        self.images = images
        self.settings = settings
        self.logger = logger
        runner = CommandRunner(inbox: inbox, limit: settings.commandLimit)
    }

    /// Runs until the graceful shutdown, for which commands under way get some time. Throws `LinkFailure` when the
    /// agent cannot join or has no usable identity.
    package func run() async throws {
        guard let identity = try await obtainIdentity() else { return }
        // Listened to from before the first hello on, so that nothing falls between the hello and the reports.
        let reports = inbox.reports()
        try await withThrowingTaskGroup(of: Over.self) { group in
            group.addTask {
                // While there is no session, reports are dropped: the next hello carries a whole inventory.
                for await report in reports { self.runner.link?.send(report) }
                return .part
            }
            group.addTask {
                try await self.keepDialling(as: identity)
                return .all
            }
            group.addTask {
                try await gracefulShutdown()
                await self.drain()
                return .all
            }
            defer {
                runner.cancelAll()
                group.cancelAll()
            }
            while let over = try await group.next() {
                if case .all = over { return }
            }
        }
    }

    private enum Over { case part, all }

    /// The identity, or nil when the shutdown began before the host had joined.
    private func obtainIdentity() async throws -> AgentIdentity? {
        let join = HostJoin(servers: servers, files: files, settings: settings, logger: logger)
        let token = joinToken
        do {
            return try await cancelWhenGracefulShutdown { try await join.identity(joiningWith: token) }
        } catch is CancellationError {
            return nil
        }
    }

    /// Lets commands under way end and their outcomes leave, then takes leave of the server.
    private func drain() async {
        runner.stopTaking()
        await runner.idle(limit: settings.drainLimit)
        guard let link = runner.link, link.welcome != nil else { return }
        link.end(.stopping)
        // Dialling ends by itself once the server has answered the farewell.
        try? await Task.sleep(for: Self.farewellLimit)
    }

    private static let farewellLimit = Duration.seconds(1)

    // MARK: Dialling

    private func keepDialling(as first: AgentIdentity) async throws {
        let identity = HeldIdentity(first)
        var plan = RedialPlan(settings: settings)
        var attempt = 0
        var lastReason = ""
        while !Task.isCancelled {
            guard !identity.value.isExpired(at: settings.wall()) else {
                throw LinkFailure(
                    "The agent's certificate has expired.",
                    hint: "Get a new join token for this host and start roost-agent with --join.")
            }
            let server = servers[attempt % servers.count]
            let began = ContinuousClock.now
            let link = LinkSession(runner: runner, outboxLimit: settings.outboxLimit)
            let end = await hold(link, with: server, as: identity)
            if case .stopping = end { return }
            attempt += 1
            let welcome = link.welcome
            let wait = plan.wait(
                after: end, lasted: began.duration(to: .now), welcomed: welcome != nil,
                spread: .milliseconds(Int64(welcome?.redialSpreadMs ?? 0)), unit: Double.random(in: 0..<1))
            lastReason = log(end, server, wait, isNews: welcome != nil, lastReason)
            try await Task.sleep(for: wait)
        }
    }

    /// Says how a session ended; the same failure again and again is said once. Returns what was said.
    private func log(
        _ end: LinkSession.End, _ server: ServerAddress, _ wait: Duration, isNews: Bool, _ lastReason: String
    ) -> String {
        var metadata: Logger.Metadata = ["server": "\(server)", "retry-in-ms": "\(wait.wholeMilliseconds)"]
        switch end {
        case .stopping: return ""
        case .goodbye(let reason):
            logger.info("the server ended the session", metadata: metadata.merging(["reason": "\(reason)"]) { $1 })
            return ""
        case .refused(let fault):
            metadata["code"] = "\(fault.code.rawValue)"
            metadata["reason"] = "\(fault.message)"
            if let hint = fault.hint { metadata["hint"] = "\(hint)" }
            logger.error("the server refused the session", metadata: metadata)
            return ""
        case .lost(let reason):
            metadata["reason"] = "\(reason)"
            let level: Logger.Level = isNews || reason != lastReason ? .warning : .debug
            logger.log(level: level, "no session with the server", metadata: metadata)
            return reason
        }
    }

    /// Dials `server` and holds the session until it ends.
    private func hold(
        _ link: LinkSession, with server: ServerAddress, as identity: HeldIdentity
    ) async -> LinkSession.End {
        // The link takes reports in before the inventory is collected: what happens meanwhile follows the hello.
        runner.link = link
        defer { runner.link = nil }
        link.begin(await inbox.hello())
        let dialled: DialledServer
        do {
            dialled = try DialledServer(
                server, presenting: try identity.value.credential, pin: .authority(identity.value.authority),
                wall: settings.wall)
        } catch {
            return .lost("\(error)")
        }
        images.use(dialled)
        defer {
            images.use(nil)
            dialled.hangUp()
        }
        return await withTaskCancellationHandler {
            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await self.carry(link, over: dialled)
                    return true
                }
                group.addTask {
                    await link.watch(welcomeLimit: self.settings.welcomeLimit)
                    return false
                }
                group.addTask {
                    await self.renew(identity, link, over: dialled)
                    return false
                }
                let end = await link.awaitEnd()
                if case .stopping = end { await Self.awaitFarewell(in: &group) }
                group.cancelAll()
                return end
            }
        } onCancel: {
            link.end(.stopping)
        }
    }

    /// Waits a moment for the stream to close from both sides.
    private static func awaitFarewell(in group: inout TaskGroup<Bool>) async {
        group.addTask {
            try? await Task.sleep(for: farewellLimit)
            return true
        }
        while let carried = await group.next(), !carried {}
    }

    /// Moves the session's messages until the stream ends.
    private func carry(_ link: LinkSession, over dialled: DialledServer) async {
        var options = CallOptions.defaults
        options.maxRequestMessageBytes = AgentProtocol.messageLimit
        options.maxResponseMessageBytes = AgentProtocol.messageLimit
        let written = Latch()
        do {
            try await dialled.gateway.session(options: options) { writer in
                defer { written.open() }
                for await message in link.outbox { try await writer.write(message) }
            } onResponse: { response in
                do {
                    for try await message in response.messages { link.receive(message) }
                    link.end(.lost("the server closed the session"))
                } catch {
                    link.end(Self.end(for: error, dialled))
                }
                // gRPC closes the stream as soon as this returns, and must not find a message on its way then.
                await written.wait(limit: Self.farewellLimit)
            }
        } catch {
            link.end(Self.end(for: error, dialled))
        }
    }

    private static func end(for error: any Error, _ dialled: DialledServer) -> LinkSession.End {
        if dialled.refusal == nil, let fault = (error as? RPCError).flatMap(Fault.init(sentWith:)) {
            return .refused(fault)
        }
        return .lost(dialled.reason(for: error))
    }

    // MARK: Renewal

    /// Renews the certificate while the session lives, once two thirds of its life are over. The next dial presents it.
    private func renew(_ identity: HeldIdentity, _ link: LinkSession, over dialled: DialledServer) async {
        while !Task.isCancelled {
            guard link.welcome != nil else {
                try? await Task.sleep(for: .milliseconds(200))
                continue
            }
            if settings.wall() >= identity.value.renewalTime {
                do {
                    identity.value = try await renewed(identity.value, over: dialled)
                    logger.info("the agent's certificate was renewed")
                } catch {
                    logger.warning(
                        "the agent's certificate could not be renewed, trying again",
                        metadata: ["reason": "\(dialled.reason(for: error))"])
                }
            }
            try? await Task.sleep(for: settings.renewalCheck)
        }
    }

    private func renewed(_ identity: AgentIdentity, over dialled: DialledServer) async throws -> AgentIdentity {
        var options = CallOptions.defaults
        options.timeout = settings.welcomeLimit
        let reply = try await dialled.gateway.renew(WireRenewRequest(), options: options)
        let certificate = try Certificate(der: Array(reply.certificate))
        _ = try PeerVerifier(authority: identity.authority).peer(presenting: certificate, at: settings.wall())
        let next = try AgentIdentity(key: identity.key, certificate: certificate, authority: identity.authority)
        guard next.host == identity.host else { throw DialFailure(reason: "the new certificate is another host's") }
        try files.save(next)
        return next
    }
}

/// The identity in use: read by who dials, replaced by a renewal.
private final class HeldIdentity: Sendable {
    private let state: Mutex<AgentIdentity>

    init(_ identity: AgentIdentity) { state = Mutex(identity) }

    var value: AgentIdentity {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
