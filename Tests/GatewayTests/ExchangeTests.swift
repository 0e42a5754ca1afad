import AgentContract
import ControlPlane
import Domain
import Testing

@testable import HostGateway
@testable import ServerLink

/// A session without a stream: the test is its writer.
@Suite(.timeLimit(.minutes(1))) struct ExchangeTests {
    private let session = Session(host: freshHost(), settings: .quick)
    private let command = WireServerMessage.with { $0.command = WireCommand(coldStop, id: freshCommand()) }

    private func ask(limit: Duration = .seconds(30)) -> Task<String, Never> {
        Task {
            switch await session.ask(.command(freshCommand()), command, limit: limit) {
            case .notSent: "not sent"
            case .noAnswer: "no answer"
            case .outcome, .neverReceived, .inventory, .console, .pong, .holdings: "answered"
            }
        }
    }

    @Test func `a command that the writer never took is not sent, however it ends`() async {
        #expect(await ask(limit: .milliseconds(20)).value == "not sent")
        let cancelled = ask()
        cancelled.cancel()
        #expect(await cancelled.value == "not sent")
        let refused = ask()
        session.end("the test ends it")
        #expect(await refused.value == "not sent")
        #expect(await ask().value == "not sent")
        #expect(await session.nextMessage() == nil)
    }

    @Test func `a command that the writer took has no known end, however it ends`() async {
        let late = ask(limit: .milliseconds(50))
        #expect(await session.nextMessage() == command)
        #expect(await late.value == "no answer")
        let cancelled = ask()
        #expect(await session.nextMessage() == command)
        cancelled.cancel()
        #expect(await cancelled.value == "no answer")
        let lost = ask()
        #expect(await session.nextMessage() == command)
        session.end("the test ends it")
        #expect(await lost.value == "no answer")
    }

    @Test func `a command that was given up is never written`() async {
        #expect(await ask(limit: .milliseconds(20)).value == "not sent")
        session.sayGoodbye("the test ends it")
        guard case .goodbye? = await session.nextMessage()?.kind else { return #expect(Bool(false)) }
        #expect(await session.nextMessage() == nil)
        #expect(await session.awaitEnd() == "the test ends it")
    }

    @Test func `a goodbye takes the place of what was not sent`() async {
        let unsent = ask()
        session.sayGoodbye("the test ends it")
        #expect(await unsent.value == "not sent")
        guard case .goodbye? = await session.nextMessage()?.kind else { return #expect(Bool(false)) }
    }

    @Test func `an outcome that cannot be read is no known end`() async throws {
        let id = freshCommand()
        let end = Task {
            await session.ask(.command(id), command, limit: .seconds(30))
        }
        #expect(await session.nextMessage() == command)
        try session.receive(.with { $0.hello = .with { $0.instance = "i" } })
        try session.receive(
            .with {
                $0.commandOutcome = .with {
                    $0.id = id.rawValue
                    $0.outcome.done.effect = .UNRECOGNIZED(9)
                }
            })
        guard case .noAnswer(let fault) = await end.value else { return #expect(Bool(false)) }
        #expect(fault.code == .protocolMismatch)
    }

    @Test func `too many reports end the session`() throws {
        var settings = GatewaySettings.quick
        settings.reportLimit = 2
        let session = Session(host: freshHost(), settings: settings)
        try session.receive(.with { $0.hello = .with { $0.instance = "i" } })
        for _ in 0..<2 { try session.receive(.with { $0.lostSight = WireLostSight() }) }
        #expect(session.isOpen)
        try session.receive(.with { $0.lostSight = WireLostSight() })
        #expect(!session.isOpen)
    }

    // MARK: Redialling

    private func waits(_ end: LinkSession.End, welcomed: Bool = false, spread: Duration = .zero) -> [Duration] {
        var plan = RedialPlan(settings: LinkSettings())
        return (0..<9).map { _ in
            plan.wait(after: end, lasted: .seconds(1), welcomed: welcomed, spread: spread, unit: 0.5)
        }
    }

    @Test func `waits double up to their cap and are spread in full`() {
        #expect(waits(.lost("x")) == [25, 50, 100, 200, 400, 800, 1600, 2500, 2500].map { .milliseconds($0) })
        var plan = RedialPlan(settings: LinkSettings())
        #expect(plan.wait(after: .lost("x"), lasted: .zero, welcomed: false, spread: .zero, unit: 0) == .zero)
    }

    @Test func `a session that lasted starts the waits anew, over the server's spread`() {
        var plan = RedialPlan(settings: LinkSettings())
        for _ in 0..<5 { _ = plan.wait(after: .lost("x"), lasted: .zero, welcomed: false, spread: .zero, unit: 0.5) }
        let wait = plan.wait(after: .lost("x"), lasted: .seconds(11), welcomed: true, spread: .seconds(2), unit: 0.5)
        #expect(wait == .seconds(1))
    }

    @Test func `what time will not change is tried slowly, and what it may change is not`() {
        for code in [FaultCode.alreadyConnected, .hostDeleted, .protocolMismatch] {
            #expect(waits(.refused(Fault(.conflict, code, "No.")))[0] == .milliseconds(22_500))
        }
        #expect(waits(.refused(Fault(.unavailable, .storeUnavailable, "No.")))[0] == .milliseconds(25))
        #expect(waits(.refused(Fault(.conflict, .staleSession, "No.")))[0] == .milliseconds(25))
    }
}
