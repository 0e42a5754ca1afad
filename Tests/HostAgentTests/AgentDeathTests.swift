import Domain
import HostAgent
import Testing

/// The agent dies at each of its calls to libvirt, its disk and its fault points, before or after the call's effect, and the
/// command comes again under the same id.
@Suite struct AgentDeathTests {
    enum Scenario: String, CaseIterable, Sendable {
        case start, cold, grace, force, notThere, destroy, clear

        var command: HostCommand {
            switch self {
            case .start: HostAgentTests.start()
            case .cold: stop(.cold)
            case .grace: stop(.grace, timeout: .seconds(1))
            case .force: stop(.force)
            case .notThere: stop(ignoreNotFound: true)
            case .destroy: HostAgentTests.destroy()
            case .clear: HostAgentTests.destroy(removesDisk: false)
            }
        }

        var effect: CommandResult.Effect {
            switch self {
            case .start: .started
            case .cold, .grace, .force: .stopped
            case .notThere: .notFound
            case .destroy, .clear: .destroyed
            }
        }

        var isThereBefore: Bool {
            switch self {
            case .start, .notThere: false
            case .cold, .grace, .force, .destroy, .clear: true
            }
        }

        func host() -> FakeHost {
            let host = FakeHost()
            if isThereBefore { host.show(now) }
            // libvirt cannot end it, so that every part of a forced stop is gone through.
            if self == .force { host.with { $0.cuts = Array(repeating: .fails("busy"), count: 10) } }
            return host
        }

        /// What must hold once the command has ended as it should.
        func check(_ host: FakeHost, _ outcome: CommandOutcome, _ when: String) {
            #expect(outcome.effect == effect, "\(rawValue), \(when): \(outcome.text)")
            #expect(host.isLive() == (self == .start), "\(rawValue), \(when)")
            switch self {
            case .start:
                #expect(host.epoch() == now, "\(rawValue), \(when)")
                #expect(host.with { $0.started.count } == 1, "\(rawValue), \(when): started more than once")
            case .destroy: #expect(host.with { $0.removed.contains(someVM) }, "\(rawValue), \(when)")
            case .cold, .grace, .force, .notThere, .clear:
                #expect(host.with { $0.released.contains(someVM) }, "\(rawValue), \(when): not released")
            }
            if self != .start { #expect(host.mark().closed == now, "\(rawValue), \(when)") }
        }
    }

    /// The calls of a run to which nothing happens.
    private func calls(of scenario: Scenario) async throws -> [String] {
        let life = AgentLife()
        let host = scenario.host()
        let outcome = try await host.agent(life).execute(scenario.command, id: first)
        scenario.check(host, outcome, "undisturbed")
        return life.calls
    }

    /// Lets the agent run `command` and die on the way.
    private func die(_ life: AgentLife, on host: FakeHost, with command: HostCommand) async {
        // What a dead agent would have said reaches nobody.
        _ = try? await host.agent(life).execute(command, id: first)
        #expect(life.isDead)
    }

    @Test(arguments: Scenario.allCases)
    func `an agent that dies anywhere ends the command rightly when it comes again`(scenario: Scenario) async throws {
        let calls = try await calls(of: scenario)
        #expect(calls.count > 5)
        for (number, name) in calls.enumerated() {
            for moment in AgentLife.Moment.allCases {
                let host = scenario.host()
                await die(AgentLife(.death(number, moment)), on: host, with: scenario.command)
                let outcome = try await host.agent().execute(scenario.command, id: first)
                scenario.check(host, outcome, "died \(moment) \(number) \(name)")
                let repeated = try await host.agent().execute(scenario.command, id: first)
                #expect(repeated == outcome, "\(scenario.rawValue), died \(moment) \(number) \(name)")
            }
        }
    }

    @Test(arguments: Scenario.allCases)
    func `an agent that dies twice anywhere ends the command rightly`(scenario: Scenario) async throws {
        let calls = try await calls(of: scenario)
        for number in calls.indices {
            for moment in AgentLife.Moment.allCases {
                for later in 0..<(calls.count + 2) {
                    for laterMoment in AgentLife.Moment.allCases {
                        let host = scenario.host()
                        await die(AgentLife(.death(number, moment)), on: host, with: scenario.command)
                        let life = AgentLife(.death(later, laterMoment))
                        let when = "died \(moment) \(number), then \(laterMoment) \(later)"
                        let heard = try? await host.agent(life).execute(scenario.command, id: first)
                        if !life.isDead, let heard { scenario.check(host, heard, when) }
                        let outcome = try await host.agent().execute(scenario.command, id: first)
                        scenario.check(host, outcome, when)
                    }
                }
            }
        }
    }

    @Test(arguments: Scenario.allCases)
    func `a libvirt that is silent when the command comes again is not taken for an end`(
        scenario: Scenario
    ) async throws {
        for (number, name) in try await calls(of: scenario).enumerated() {
            for moment in AgentLife.Moment.allCases {
                let when = "died \(moment) \(number) \(name)"
                let host = scenario.host()
                await die(AgentLife(.death(number, moment)), on: host, with: scenario.command)
                host.silence(for: .seconds(5))
                let agent = host.agent()
                let outcome = try await agent.execute(scenario.command, id: first)
                guard outcome.rejection == .libvirtUnavailable else {
                    scenario.check(host, outcome, when)
                    continue
                }
                // Then nothing had begun.
                #expect(host.isLive() == scenario.isThereBefore, "\(scenario.rawValue), \(when)")
                host.with { $0.isReachable = true }
                let copy = try await agent.execute(scenario.command, id: first)
                if scenario == .start {
                    // The promise that it is never run, on which the server can rely.
                    #expect(copy.rejection == .superseded, "\(when)")
                    #expect(!host.isLive(), "\(when)")
                } else {
                    scenario.check(host, copy, when)
                }
            }
        }
    }

    @Test(arguments: Scenario.allCases)
    func `what an agent says of a command that its predecessor died in is true`(scenario: Scenario) async throws {
        for (number, name) in try await calls(of: scenario).enumerated() {
            for moment in AgentLife.Moment.allCases {
                let when = "\(scenario.rawValue), died \(moment) \(number) \(name)"
                let host = scenario.host()
                await die(AgentLife(.death(number, moment)), on: host, with: scenario.command)
                let agent = host.agent()
                let settlement = await agent.settle(first)
                let before = host.isLive()
                let copy = try await agent.execute(scenario.command, id: first)
                switch settlement {
                case .neverReceived:
                    #expect(before == scenario.isThereBefore, "\(when)")
                    #expect(copy.rejection == .superseded, "\(when)")
                    #expect(host.isLive() == before, "\(when)")
                case .underWay: scenario.check(host, copy, when)
                case .ended(let outcome):
                    #expect(copy == outcome, "\(when)")
                    if outcome.effect != nil {
                        scenario.check(host, outcome, when)
                    } else {
                        #expect(before == scenario.isThereBefore, "\(when)")
                    }
                }
            }
        }
    }

    @Test(arguments: Scenario.allCases)
    func `a disk that fails once never makes an agent lie`(scenario: Scenario) async throws {
        for (number, name) in try await calls(of: scenario).enumerated()
        where name.hasPrefix("journal") || name.hasPrefix("ledger") || name.hasPrefix("storage") {
            let when = "\(scenario.rawValue), \(number) \(name) failed"
            let host = scenario.host()
            let agent = host.agent(AgentLife(.failure(number)))
            let outcome = try await agent.execute(scenario.command, id: first)
            switch outcome {
            case .done: scenario.check(host, outcome, when)
            case .rejected: #expect(host.isLive() == scenario.isThereBefore, "\(when)")
            case .failed:
                // The domain's part was done; only the clean-up was not.
                #expect(!host.isLive(), "\(when)")
            }
            let copy = try await agent.execute(scenario.command, id: first)
            if scenario == .start { #expect(host.isLive() == (outcome.effect == .started), "\(when)") }
            #expect(copy.effect == nil || outcome.effect == nil || copy.effect == outcome.effect, "\(when)")
        }
    }
}
