import AgentContract
import ControlPlane
import Domain
import Logging

/// Takes a session from its hello to its end, and tells the observer each step.
///
/// Runs to its end whatever becomes of the connection: a session that was granted is always told closed.
struct SessionLife: Sendable {
    let registry: SessionRegistry
    let observer: any HostSessionObserver
    let settings: GatewaySettings
    let logger: Logger

    func run(_ session: Session) async {
        guard let hello = await readHello(of: session) else { return }
        guard let grant = await registry.turns.take(session.host, { await admit(session, hello) }) else { return }
        var logger = logger
        logger[metadataKey: "session"] = "\(grant.session)"
        logger.info("host session open")
        do {
            let inventory = try await registry.inventory(of: session, limit: settings.inventoryLimit)
            try await observer.established(grant, hello: hello, inventory: inventory)
            try await handOver(session)
        } catch {
            let fault = refusal(for: error)
            logger.warning("what the agent told could not be recorded", metadata: ["error": "\(error)"])
            session.refuse(fault)
        }
        let reason = await session.awaitEnd()
        registry.remove(session)
        logger.info("host session over", metadata: ["reason": "\(reason)"])
        await tellClosed(grant, reason, logger)
    }

    private func readHello(of session: Session) async -> AgentHello? {
        guard let wire = await session.awaitHello() else { return nil }
        guard AgentProtocol.fits(version: wire.protocolVersion, oldest: wire.oldestProtocolVersion) else {
            refuse(
                session,
                Fault(
                    .conflict, .protocolMismatch,
                    """
                    The agent speaks the versions \(wire.oldestProtocolVersion) to \(wire.protocolVersion) of the \
                    protocol, the server \(AgentProtocol.oldest) to \(AgentProtocol.version).
                    """,
                    hint: "Install releases on the server and on the host that are at most one apart."))
            return nil
        }
        guard !wire.instance.isEmpty else {
            refuse(session, UnreadableMessage("a hello without an instance").fault)
            return nil
        }
        do {
            return AgentHello(
                host: session.host, instance: wire.instance,
                facts: try HostFacts(reading: wire.facts),
                heard: RecordPoint(rawValue: max(wire.heardPoint, 0)),
                highestEpoch: Epoch(max(wire.highestEpoch, 0)))
        } catch {
            refuse(session, error.fault)
            return nil
        }
    }

    /// Decides between this session and the one that the host has, and asks for a session number.
    private func admit(_ session: Session, _ hello: AgentHello) async -> SessionGrant? {
        if let rival = registry.session(of: session.host) {
            if rival.instance != hello.instance, await rival.answersPing() {
                refuse(
                    session,
                    Fault(
                        .conflict, .alreadyConnected, "Another agent is connected as this host.",
                        hint: "Stop the other roost-agent, or join this machine as a host of its own."))
                return nil
            }
            rival.end("a newer session of its agent took its place")
        }
        guard session.isOpen else { return nil }
        let grant: SessionGrant
        do {
            grant = try await observer.open(hello)
        } catch {
            refuse(session, refusal(for: error))
            return nil
        }
        registry.advance(to: grant.point)
        // The welcome is queued before anybody can queue a command.
        session.welcome(grant, sessions: registry.count + 1)
        if let reason = registry.register(session) { session.sayGoodbye(reason) }
        return grant
    }

    /// Hands the agent's reports to the observer, one at a time and in order, until the session is over.
    private func handOver(_ session: Session) async throws {
        for await report in session.reports {
            session.reportTaken()
            switch report {
            case .inventory(let inventory):
                try await observer.received(inventory, from: session.host, session: session.number)
            case .change(let change):
                try await observer.received(change, from: session.host, session: session.number)
            case .progress(let vm, let epoch, let progress):
                try await observer.received(progress, of: vm, epoch, from: session.host, session: session.number)
            case .lostSight:
                try await observer.lostSight(of: session.host, session: session.number)
            }
        }
    }

    /// Tells the end, again when the telling failed: a host shown as connected that is not would never be noticed.
    private func tellClosed(_ grant: SessionGrant, _ reason: String, _ logger: Logger) async {
        var attempts = 0
        while true {
            do {
                return try await observer.closed(grant.host, session: grant.session, reason: reason)
            } catch {
                attempts += 1
                logger.warning(
                    "the end of the session could not be recorded",
                    metadata: ["error": "\(error)", "attempt": "\(attempts)"])
            }
            // A node that stops leaves it to the next start, which takes no host for connected.
            do { try await Task.sleep(for: .milliseconds(100 * min(attempts, 50))) } catch { return }
        }
    }

    private func refuse(_ session: Session, _ fault: Fault) {
        logger.notice(
            "host session refused", metadata: ["code": "\(fault.code.rawValue)", "reason": "\(fault.message)"])
        session.refuse(fault)
    }

    private func refusal(for error: any Error) -> Fault {
        (error as? Fault)
            ?? Fault(
                .unavailable, .storeUnavailable, "The server cannot record the session now.",
                hint: "The agent tries again by itself; see the server's log.")
    }
}
