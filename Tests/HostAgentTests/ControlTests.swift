import Domain
import HostAgent
import Testing

@Suite struct ControlTests {
    private let host = FakeHost()

    @Test(arguments: GuestControl.allCases)
    func `the domain of the epoch is paused, resumed or reset, once`(wanted: GuestControl) async throws {
        host.show(now)
        let agent = host.agent()
        let outcome = try await agent.execute(control(wanted), id: first)
        #expect(outcome.effect == wanted.effect)
        let again = try await host.agent().execute(control(wanted), id: first)
        #expect(again == outcome)
        #expect(host.with { $0.controlled } == [wanted])
    }

    @Test(arguments: GuestControl.allCases)
    func `no domain but that of the epoch is touched`(wanted: GuestControl) async throws {
        let agent = host.agent()
        let absent = try await agent.execute(control(wanted), id: commandID(1))
        #expect(absent.rejection == .domainNotFound)
        host.show(now.next)
        let other = try await agent.execute(control(wanted), id: commandID(2))
        #expect(other.rejection == .staleEpoch)
        host.show(nil)
        let unreadable = try await agent.execute(control(wanted), id: commandID(3))
        #expect(unreadable.rejection == .epochConflict)
        #expect(host.with { $0.controlled.isEmpty })
    }

    @Test func `what libvirt refuses has failed`() async throws {
        host.show(now)
        host.with { $0.controls = [.fails("not now")] }
        let outcome = try await host.agent().execute(control(.pause), id: first)
        #expect(outcome.failure?.message.contains("not now") == true)
    }

    @Test(arguments: [(GuestControl.pause, true), (.pause, false), (.reset, true), (.reset, false)])
    func `an answer that libvirt loses is what the domain shows, and for a reset nothing shows it`(
        wanted: GuestControl, worked: Bool
    ) async throws {
        host.show(now)
        host.with { $0.controls = [worked ? .isSilentAndWorks(after: .zero) : .isSilent] }
        if worked { host.with { $0.domains[someVM]?.state = wanted == .pause ? .paused : .running } }
        let outcome = try await host.agent().execute(control(wanted), id: first)
        switch (wanted, worked) {
        case (.pause, true): #expect(outcome.effect == .paused)
        default: #expect(outcome.failure?.message.contains("cut short") == true)
        }
    }

    @Test(arguments: GuestControl.allCases)
    func `a command that an agent died in is never done again`(wanted: GuestControl) async throws {
        host.show(now)
        let kind: BegunCommand.Kind =
            switch wanted {
            case .pause: .pause
            case .resume: .resume
            case .reset: .reset
            }
        host.with {
            $0.journal[first] = .begun(BegunCommand(kind: kind, vm: someVM, epoch: now))
            $0.domains[someVM]?.state = wanted == .pause ? .paused : .running
        }
        let settlement = await host.agent().settle(first)
        let outcome = try await host.agent().execute(control(wanted), id: first)
        #expect(settlement == .ended(outcome))
        #expect(wanted == .reset ? outcome.failure != nil : outcome.effect == wanted.effect)
        #expect(host.with { $0.controlled.isEmpty })
    }
}
