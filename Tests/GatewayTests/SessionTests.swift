import AgentContract
import ControlPlane
import Domain
import Foundation
import HostAgent
import HostGateway
import Identity
import ServerLink
import Testing

@Suite(.timeLimit(.minutes(1))) struct SessionTests {
    private let limit = Duration.seconds(20)

    /// One host with its agent behind a proxy.
    private struct Wired: Sendable {
        let bench: Bench
        let host: HostID
        let files: AgentIdentityFiles
        let inbox: FakeInbox
        let proxy: TCPProxy
    }

    private func wired(
        gateway: GatewaySettings = .quick, link: LinkSettings = .quick,
        _ body: @escaping @Sendable (Wired) async throws -> Void
    ) async throws {
        try await Bench.run(settings: gateway) { bench in
            let host = freshHost()
            let wired = Wired(
                bench: bench, host: host, files: try bench.joinedHost(host), inbox: freshInbox(),
                proxy: try TCPProxy(to: bench.port))
            defer { wired.proxy.close() }
            try await bench.withAgent(wired.inbox, files: wired.files, port: wired.proxy.port, settings: link) {
                try await bench.awaitSession(host)
                try await body(wired)
            }
        }
    }

    @Test func `a session that the records do not know any more is ended, and its agent dials again`() async throws {
        try await wired { wired in
            let host = wired.host
            try await wired.bench.registry.endOvertaken { [host: 1] }
            #expect(wired.bench.observer.openCount == 1)
            try await wired.bench.registry.endOvertaken { [host: 2] }
            let reason = try await wired.bench.awaitClosed(host, 1)
            #expect(reason == "another session of its agent took its place")
            try await wired.bench.awaitSession(host, atLeast: 2)
        }
    }

    @Test func `a session opens, is established, and closes at once when the agent goes`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            try await bench.withAgent(freshInbox(), files: try bench.joinedHost(host)) {
                try await bench.awaitSession(host)
            }
            _ = try await bench.awaitClosed(host, 1, within: .seconds(1))
            // By an inventory that is later than the hello's.
            #expect(bench.observer.told.prefix(2) == [.opened(host, 1), .established(host, 1, sequence: 3)])
            #expect(bench.registry.count == 0)
        }
    }

    @Test func `an agent hears how far the records have come: at its welcome, with each command, and by pings`()
        async throws
    {
        try await wired { wired in
            await wired.bench.registry.note(RecordPoint(generation: 2, event: 5))
            _ = await wired.bench.registry.send(coldStop, id: freshCommand(), to: wired.host, limit: limit)
            #expect(wired.inbox.heard.contains(RecordPoint(generation: 2, event: 5)))
            wired.bench.registry.note(event: 7)
            wired.bench.registry.note(event: 6)
            try await eventually("a ping has told it") {
                wired.inbox.heard.last == RecordPoint(generation: 2, event: 7)
            }
        }
    }

    // MARK: The four ends of a command

    @Test func `a command that is done ends with its result`() async throws {
        try await wired { wired in
            let id = freshCommand()
            let end = await wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: limit)
            guard case .done(let result) = end else { return #expect(Bool(false), "\(end)") }
            #expect(result.effect == .stopped)
            #expect(wired.inbox.executed == [id])
            // The same id again never runs it twice.
            #expect(await wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: limit) == end)
            #expect(wired.inbox.executed == [id])
        }
    }

    @Test func `what the agent refuses is rejected, and what it failed at is failed`() async throws {
        try await wired { wired in
            wired.inbox.hold(true)
            let fault = Fault(.conflict, .staleEpoch, "The domain has another epoch.")
            for outcome in [CommandOutcome.rejected(fault), .failed(fault)] {
                let id = freshCommand()
                async let end = wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: limit)
                try await eventually("the command") { wired.inbox.executed.contains(id) }
                wired.inbox.finish(id, with: outcome)
                #expect(await end == CommandEnd(outcome))
            }
        }
    }

    @Test func `a command to a host without a session is not sent`() async throws {
        try await Bench.run { bench in
            let end = await bench.registry.send(coldStop, id: freshCommand(), to: freshHost(), limit: limit)
            guard case .notSent(let fault) = end else { return #expect(Bool(false), "\(end)") }
            #expect(fault.code == .hostUnreachable)
        }
    }

    @Test func `a command whose connection breaks has an unknown outcome, and settling finds its end`() async throws {
        try await wired { wired in
            wired.inbox.hold(true)
            let id = freshCommand()
            async let end = wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: .seconds(30))
            try await eventually("the command") { wired.inbox.executed == [id] }
            wired.proxy.cut()
            guard case .outcomeUnknown(let fault) = await end else { return #expect(Bool(false)) }
            #expect(fault.code == .outcomeUnknown)
            try await wired.bench.awaitSession(wired.host, atLeast: 2)
            // Still under way: the agent says so, and its outcome comes over the new session.
            async let settled = wired.bench.registry.settle(id, on: wired.host, limit: .seconds(10))
            async let early = wired.bench.registry.settle(id, on: wired.host, limit: .milliseconds(200))
            guard case .unknown = await early else { return #expect(Bool(false)) }
            let outcome = CommandOutcome.done(CommandResult(effect: .stopped, sequence: 77))
            wired.inbox.finish(id, with: outcome)
            #expect(await settled == .ended(outcome))
            #expect(wired.inbox.executed == [id])
        }
    }

    @Test func `a command that ended while the host was away is settled by its remembered end`() async throws {
        try await wired { wired in
            wired.inbox.hold(true)
            let id = freshCommand()
            async let end = wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: .seconds(30))
            try await eventually("the command") { wired.inbox.executed == [id] }
            wired.bench.observer.refuseOpening(with: Fault(.unavailable, .storeUnavailable, "Not now."))
            wired.proxy.cut()
            guard case .outcomeUnknown = await end else { return #expect(Bool(false)) }
            let outcome = CommandOutcome.failed(Fault(.conflict, .commandFailed, "It would not end."))
            wired.inbox.finish(id, with: outcome)
            guard case .unknown = await wired.bench.registry.settle(id, on: wired.host, limit: limit) else {
                return #expect(Bool(false))
            }
            wired.bench.observer.refuseOpening(with: nil)
            try await wired.bench.awaitSession(wired.host, atLeast: 2)
            #expect(await wired.bench.registry.settle(id, on: wired.host, limit: limit) == .ended(outcome))
        }
    }

    @Test func `a command that takes too long has an unknown outcome`() async throws {
        try await wired { wired in
            wired.inbox.hold(true)
            let id = freshCommand()
            let end = await wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: .seconds(1))
            guard case .outcomeUnknown = end else { return #expect(Bool(false), "\(end)") }
            try await eventually("the command") { wired.inbox.executed == [id] }
            wired.inbox.finish(id, with: .done(CommandResult(effect: .stopped, sequence: 1)))
        }
    }

    @Test func `a command that a cancelled caller gave up has an unknown outcome`() async throws {
        try await wired { wired in
            wired.inbox.hold(true)
            let id = freshCommand()
            let task = Task { await wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: .seconds(30)) }
            try await eventually("the command") { wired.inbox.executed == [id] }
            task.cancel()
            guard case .outcomeUnknown = await task.value else { return #expect(Bool(false)) }
            wired.inbox.finish(id, with: .done(CommandResult(effect: .stopped, sequence: 1)))
        }
    }

    @Test func `a command that was never received is refused from then on`() async throws {
        try await wired { wired in
            let id = freshCommand()
            #expect(await wired.bench.registry.settle(id, on: wired.host, limit: limit) == .neverReceived)
            let end = await wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: limit)
            guard case .rejected = end else { return #expect(Bool(false), "\(end)") }
            #expect(wired.inbox.executed.isEmpty)
        }
    }

    @Test func `more commands than allowed are not sent, and pings still are`() async throws {
        var settings = GatewaySettings.quick
        settings.commandLimit = 3
        try await wired(gateway: settings) { wired in
            wired.inbox.hold(true)
            let ids = (0..<3).map { _ in freshCommand() }
            try await withThrowingTaskGroup(of: CommandEnd.self) { group in
                for id in ids {
                    group.addTask {
                        await wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: .seconds(30))
                    }
                }
                try await eventually("all commands") { wired.inbox.executed.count == 3 }
                let more = await wired.bench.registry.send(coldStop, id: freshCommand(), to: wired.host, limit: limit)
                guard case .notSent = more else { return #expect(Bool(false), "\(more)") }
                // A rival is told off by the busy session, which shows that its pings get through.
                let probe = try SessionProbe(
                    port: wired.bench.port, credential: try #require(try wired.files.load()).credential,
                    wired.bench.authority)
                defer { probe.hangUp() }
                #expect(try await probe.refusal(fromSessionOf: freshInbox()) == .alreadyConnected)
                for id in ids { wired.inbox.finish(id, with: .done(CommandResult(effect: .stopped, sequence: 1))) }
                for try await end in group {
                    guard case .done = end else { return #expect(Bool(false), "\(end)") }
                }
            }
        }
    }

    @Test func `an acknowledgement reaches the agent`() async throws {
        try await wired { wired in
            let id = freshCommand()
            _ = await wired.bench.registry.send(coldStop, id: id, to: wired.host, limit: limit)
            #expect(wired.inbox.acknowledged.isEmpty)
            wired.bench.registry.acknowledge(id, on: wired.host)
            try await eventually("the acknowledgement") { wired.inbox.acknowledged == [id] }
        }
    }

    // MARK: Questions

    @Test func `an inventory is answered with the session it came by`() async throws {
        try await wired { wired in
            let answer = try await wired.bench.registry.inventory(of: wired.host, limit: limit)
            #expect(answer.session == 1)
            #expect(answer.inventory.domains.count == 2)
            #expect(answer.inventory.domains[1].epoch == nil)
        }
    }

    @Test func `a console log is cut at its limit, and its fault arrives whole`() async throws {
        try await wired { wired in
            let registry = wired.bench.registry
            let log = try await registry.consoleLog(of: testVM, on: wired.host, limit: 3)
            #expect(log == Array("in:".utf8))
            let unknown = VMID(trusted: freshHost().rawValue)
            await #expect(throws: Fault.notFound("VM", unknown.rawValue)) {
                try await registry.consoleLog(of: unknown, on: wired.host, limit: 3)
            }
        }
    }

    @Test func `holdings are answered whole, and so is the fault`() async throws {
        try await wired { wired in
            let registry = wired.bench.registry
            let holdings = try await registry.holdings(of: wired.host, limit: limit)
            #expect(holdings == testHoldings)
            wired.inbox.hold(true)
            let fault = await #expect(throws: Fault.self) {
                try await registry.holdings(of: wired.host, limit: limit)
            }
            #expect(fault == Fault(.unavailable, .libvirtUnavailable, "libvirt does not answer.", hint: "Start it."))
            let nobody = await #expect(throws: Fault.self) {
                try await registry.holdings(of: freshHost(), limit: limit)
            }
            #expect(nobody?.code == .hostUnreachable)
        }
    }

    // MARK: Reports

    @Test func `reports arrive in order, one at a time, and do not hold commands up`() async throws {
        try await wired { wired in
            wired.bench.observer.delayReports(by: .milliseconds(200))
            for sequence in Int64(100)..<110 {
                wired.inbox.report(.domainChanged(testVM, Epoch(3), .paused, sequence: sequence))
            }
            wired.inbox.report(.lostSight)
            let host = wired.host
            let end = await wired.bench.registry.send(coldStop, id: freshCommand(), to: host, limit: limit)
            guard case .done = end else { return #expect(Bool(false), "\(end)") }
            #expect(!wired.bench.observer.told.contains(.lostSight(host, 1)), "the command waited for the reports")
            try await eventually("the reports") { wired.bench.observer.told.contains(.lostSight(host, 1)) }
            #expect(
                wired.bench.observer.told.dropFirst(2)
                    == (Int64(100)..<110).map { .change(host, 1, sequence: $0) } + [.lostSight(host, 1)])
        }
    }

    @Test func `what happens while the hello is collected follows it, and what is older does not`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let inbox = freshInbox()
            inbox.setSequence(49)
            inbox.reportDuringHello([
                .domainChanged(testVM, Epoch(3), .running, sequence: 50),
                .domainChanged(testVM, Epoch(3), .gone(.failed), sequence: 51),
            ])
            try await bench.withAgent(inbox, files: try bench.joinedHost(host)) {
                try await eventually("the report") { bench.observer.told.count == 3 }
            }
            #expect(bench.observer.told[2] == .change(host, 1, sequence: 51))
        }
    }

    @Test func `a report that cannot be recorded ends the session, and the next hello makes up for it`() async throws {
        try await wired { wired in
            wired.bench.observer.refuseReports(with: Fault(.unavailable, .storeUnavailable, "Not now."))
            wired.inbox.report(.lostSight)
            _ = try await wired.bench.awaitClosed(wired.host, 1)
            try await wired.bench.awaitSession(wired.host, atLeast: 2)
        }
    }

    // MARK: Connections

    @Test func `a closed connection is noticed at once`() async throws {
        try await wired { wired in
            let began = ContinuousClock.now
            wired.proxy.cut()
            _ = try await wired.bench.awaitClosed(wired.host, 1, within: .milliseconds(700))
            #expect(began.duration(to: .now) < .milliseconds(700))
            try await wired.bench.awaitSession(wired.host, atLeast: 2)
        }
    }

    @Test func `a silent network is noticed within the limit by both sides`() async throws {
        try await wired { wired in
            let began = ContinuousClock.now
            wired.proxy.swallow(true)
            let reason = try await wired.bench.awaitClosed(wired.host, 1, within: .seconds(3))
            #expect(reason.hasPrefix("nothing was heard from it"))
            #expect(began.duration(to: .now) < .milliseconds(1500))
            // The agent dials again by itself: the old connection stays silent, a new one works.
            wired.proxy.swallow(false)
            try await wired.bench.awaitSession(wired.host, atLeast: 2)
        }
    }

    @Test func `commands under way when the network falls silent have an unknown outcome`() async throws {
        try await wired { wired in
            wired.proxy.swallow(true)
            let began = ContinuousClock.now
            let end = await wired.bench.registry.send(coldStop, id: freshCommand(), to: wired.host, limit: .seconds(30))
            guard case .outcomeUnknown = end else { return #expect(Bool(false), "\(end)") }
            #expect(began.duration(to: .now) < .seconds(2))
        }
    }

    @Test func `a second agent with the same identity is refused, and the first is undisturbed`() async throws {
        try await wired { wired in
            try await wired.bench.withAgent(freshInbox(), files: wired.files) {
                let probe = try SessionProbe(
                    port: wired.bench.port, credential: try #require(try wired.files.load()).credential,
                    wired.bench.authority)
                defer { probe.hangUp() }
                #expect(try await probe.refusal(fromSessionOf: freshInbox()) == .alreadyConnected)
                let end = await wired.bench.registry.send(coldStop, id: freshCommand(), to: wired.host, limit: limit)
                guard case .done = end else { return #expect(Bool(false), "\(end)") }
            }
            #expect(wired.bench.observer.openCount == 1)
        }
    }

    @Test func `an agent that dials again replaces its own silent session at once`() async throws {
        var settings = GatewaySettings.quick
        settings.silenceLimit = .seconds(30)
        try await wired(gateway: settings) { wired in
            wired.proxy.swallow(true)
            let direct = wired.bench.port
            try await wired.bench.withAgent(wired.inbox, files: wired.files, port: direct) {
                try await wired.bench.awaitSession(wired.host, atLeast: 2)
            }
            #expect(try await wired.bench.awaitClosed(wired.host, 1) == "a newer session of its agent took its place")
        }
    }

    @Test func `a new agent takes over from one that no longer answers`() async throws {
        var settings = GatewaySettings.quick
        settings.silenceLimit = .seconds(30)
        try await wired(gateway: settings) { wired in
            wired.proxy.swallow(true)
            let direct = wired.bench.port
            try await wired.bench.withAgent(freshInbox(), files: wired.files, port: direct) {
                try await wired.bench.awaitSession(wired.host, atLeast: 2)
            }
        }
    }

    @Test func `disconnecting ends the session, and the agent dials again`() async throws {
        try await wired { wired in
            await wired.bench.registry.disconnect(wired.host, reason: "an operator asked for it")
            #expect(try await wired.bench.awaitClosed(wired.host, 1) == "an operator asked for it")
            try await wired.bench.awaitSession(wired.host, atLeast: 2)
        }
    }

    @Test func `a stuck agent does not hold up another`() async throws {
        try await wired { stuck in
            stuck.inbox.hold(true)
            stuck.proxy.swallow(true)
            let bench = stuck.bench
            let host = freshHost()
            try await bench.withAgent(freshInbox(), files: try bench.joinedHost(host)) {
                try await bench.awaitSession(host)
                async let first = bench.registry.send(coldStop, id: freshCommand(), to: stuck.host, limit: .seconds(30))
                let end = await bench.registry.send(coldStop, id: freshCommand(), to: host, limit: limit)
                guard case .done = end else { return #expect(Bool(false), "\(end)") }
                _ = await first
            }
        }
    }
}
