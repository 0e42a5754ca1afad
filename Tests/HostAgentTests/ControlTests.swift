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
        // A guest that has no time of its own is reset at once.
        #expect(host.with { $0.controlled } == [wanted == .reboot ? .reset : wanted])
    }

    @Test func `a reboot is the guest's own, and a deaf guest is reset when its time is up`() async throws {
        for (reaction, controlled) in [(FakeHost.Reaction.reboots, []), (.ignores, [GuestControl.reset])] {
            let host = FakeHost()
            host.show(now)
            host.with { $0.guest = { presses in presses == 2 ? reaction : .ignores } }
            let agent = host.agent()
            let watch = Task { await agent.run() }
            defer { watch.cancel() }
            let isWatching = await eventually { host.with { $0.events } != nil }
            #expect(isWatching)
            let command = HostCommand.control(
                ControlVMCommand(vm: someVM, epoch: now, control: .reboot, timeout: .seconds(20)))
            let outcome = try await agent.execute(command, id: first)
            #expect(outcome.effect == .rebooted)
            #expect(host.with { $0.controlled } == controlled)
        }
    }

    @Test func `a stop ends the wait of a reboot`() async throws {
        host.show(now)
        let (agent, host) = (host.agent(), host)
        let command = HostCommand.control(
            ControlVMCommand(vm: someVM, epoch: now, control: .reboot, timeout: .seconds(3600)))
        host.with { $0.guest = { _ in .ignores } }
        async let rebooted = agent.execute(command, id: first)
        let isPressed = await eventually { host.with { !$0.presses.isEmpty } }
        #expect(isPressed)
        let stopped = try await agent.execute(stop(.cold), id: second)
        #expect(stopped.effect == .stopped)
        let outcome = try await rebooted
        #expect(outcome.failure?.code == .superseded)
        #expect(host.with { $0.controlled.isEmpty })
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
            case .reboot: .reboot
            }
        host.with {
            $0.journal[first] = .begun(BegunCommand(kind: kind, vm: someVM, epoch: now))
            $0.domains[someVM]?.state = wanted == .pause ? .paused : .running
        }
        let settlement = await host.agent().settle(first)
        let outcome = try await host.agent().execute(control(wanted), id: first)
        #expect(settlement == .ended(outcome))
        let isVisible = wanted == .pause || wanted == .resume
        #expect(isVisible ? outcome.effect == wanted.effect : outcome.failure != nil)
        #expect(host.with { $0.controlled.isEmpty })
    }
}
