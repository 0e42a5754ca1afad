import Domain
import HostAgent
import Testing

@Suite struct StopTests {
    private let host = FakeHost()

    init() { host.show(now) }

    // MARK: Whose domain it is

    @Test(arguments: StopMode.allCases)
    func `a stop ends its epoch's domain and closes the epoch`(mode: StopMode) async throws {
        let agent = host.agent()
        let outcome = try await agent.execute(stop(mode), id: first)
        #expect(outcome.effect == .stopped)
        #expect(!host.isLive())
        #expect(host.with { $0.released } == [someVM])
        let late = try await agent.execute(start(), id: second)
        #expect(late.rejection == .staleEpoch)
        #expect(!host.isLive())
    }

    @Test(arguments: [true, false])
    func `R37: a stop without a domain cleans up all the same and closes the epoch`(isFine: Bool) async throws {
        host.hide()
        let agent = host.agent()
        let outcome = try await agent.execute(stop(ignoreNotFound: isFine), id: first)
        #expect(outcome.effect == (isFine ? .notFound : nil))
        #expect(outcome.rejection == (isFine ? nil : .domainNotFound))
        #expect(host.with { $0.released } == [someVM])
        let late = try await agent.execute(start(), id: second)
        #expect(late.rejection == .staleEpoch)
    }

    @Test(arguments: [stop(.grace), stop(.cold), stop(.force), stop(.cold, ignoreNotFound: true), destroy()])
    func `R37: a guest that powers itself off in the middle of it makes no difference`(
        command: HostCommand
    ) async throws {
        let (host, agent, point) = (host, host.agent(), "agent-\(command.label).before-libvirt")
        host.gates.close(point)
        async let running = agent.execute(command, id: first)
        let isHeld = await eventually { host.gates.held(point) == 1 }
        #expect(isHeld)
        host.hide()
        host.tell(.changed(someVM, now, .gone(.guestShutdown)))
        host.gates.open(point)
        let outcome = try await running
        if case .destroy = command {
            #expect(outcome.effect == .destroyed)
            #expect(host.with { $0.removed } == [someVM])
        } else {
            #expect(outcome.effect == .stopped)
            #expect(host.with { $0.released } == [someVM])
        }
        #expect(host.with { $0.cut.isEmpty && $0.killed.isEmpty })
        let late = try await agent.execute(start(), id: second)
        #expect(late.rejection == .staleEpoch)
    }

    @Test(arguments: StopMode.allCases, [true, false])
    func `R12: a stop that was held on its way in does not touch the next start's domain`(
        mode: StopMode, ignoreNotFound: Bool
    ) async throws {
        let (host, agent) = (host, host.agent())
        host.gates.close("agent-stop.received")
        async let held = agent.execute(stop(mode, ignoreNotFound: ignoreNotFound), id: first)
        let isHeld = await eventually { host.gates.held("agent-stop.received") == 1 }
        #expect(isHeld)
        // Ended by force meanwhile, and started anew.
        let ended = try await agent.execute(destroy(removesDisk: false), id: second)
        #expect(ended.effect == .destroyed)
        let started = try await agent.execute(start(now.next), id: commandID(3))
        #expect(started.effect == .started)
        let releases = host.with { $0.released.count }
        host.gates.open("agent-stop.received")
        let outcome = try await held
        #expect(outcome.rejection == .staleEpoch)
        #expect(host.epoch() == now.next)
        #expect(host.with { $0.cut.count } == 1)
        #expect(host.with { $0.released.count } == releases)
        #expect(host.with { $0.presses.isEmpty && $0.killed.isEmpty })
        #expect(host.mark().closed == now)
    }

    @Test(arguments: [now.next, Epoch(4), nil], StopMode.allCases)
    func `a stop does not touch another epoch's domain, nor one whose epoch cannot be read`(
        found: Epoch?, mode: StopMode
    ) async throws {
        host.show(found)
        for ignoreNotFound in [true, false] {
            let command = stop(mode, ignoreNotFound: ignoreNotFound)
            let outcome = try await host.agent().execute(command, id: commandID(ignoreNotFound ? 1 : 2))
            #expect(outcome.rejection == (found == nil ? .epochConflict : .staleEpoch))
        }
        #expect(host.isLive())
        #expect(host.with { $0.presses.isEmpty && $0.cut.isEmpty && $0.killed.isEmpty && $0.released.isEmpty })
        #expect(host.mark().closed == .none)
    }

    // MARK: Grace

    @Test func `a graceful stop presses the button every 5 s and cuts the power when the time is up`() async throws {
        let outcome = try await host.agent().execute(stop(.grace, timeout: .seconds(12)), id: first)
        #expect(outcome.effect == .stopped)
        #expect(host.with { $0.presses } == [.zero, .seconds(5), .seconds(10)])
        #expect(host.with { $0.cut } == [someVM])
        #expect(host.time.monotonic() >= .seconds(12))
    }

    @Test func `a guest that powers off in time is not cut off`() async throws {
        host.with { $0.guest = { $0 == 2 ? .powersOff : .ignores } }
        let outcome = try await host.agent().execute(stop(.grace), id: first)
        #expect(outcome.effect == .stopped)
        #expect(host.with { $0.presses.count } == 2)
        #expect(host.with { $0.cut.isEmpty })
        #expect(host.with { $0.released } == [someVM])
    }

    @Test func `what takes the guest's place during its grace time is not touched`() async throws {
        host.with { $0.guest = { _ in .restartsAs(now.next) } }
        let outcome = try await host.agent().execute(stop(.grace), id: first)
        #expect(outcome.effect == .stopped)
        #expect(host.epoch() == now.next)
        #expect(host.with { $0.cut.isEmpty && $0.killed.isEmpty })
        // What the VM holds on the host is the newer placement's.
        #expect(host.with { $0.released.isEmpty })
    }

    @Test func `a domain whose epoch becomes unreadable during its grace time is not called stopped`() async throws {
        let host = host
        host.time.plan(after: .seconds(3)) { host.show(nil) }
        let outcome = try await host.agent().execute(stop(.grace), id: first)
        #expect(outcome.failure?.code == .epochConflict)
        #expect(host.isLive())
        #expect(host.with { $0.cut.isEmpty && $0.released.isEmpty })
    }

    @Test(arguments: [stop(.cold), stop(.force), destroy()])
    func `a stronger wish ends the grace time of the stop before it`(later: HostCommand) async throws {
        let (host, agent) = (host, host.agent())
        host.gates.close("agent-stop.before-libvirt")
        async let graceful = agent.execute(stop(.grace, timeout: .seconds(600)), id: first)
        let isHeld = await eventually { host.gates.held("agent-stop.before-libvirt") == 1 }
        #expect(isHeld)
        host.gates.close("agent-\(later.label).received")
        async let strong = agent.execute(later, id: second)
        let isThere = await eventually { host.gates.held("agent-\(later.label).received") == 1 }
        #expect(isThere)
        host.gates.open("agent-stop.before-libvirt")
        let outcome = try await graceful
        #expect(outcome.effect == .stopped)
        #expect(host.time.monotonic() < .seconds(10))
        host.gates.open("agent-\(later.label).received")
        let last = try await strong
        #expect(last.effect == .destroyed || last.rejection == .domainNotFound)
    }

    @Test func `a grace time goes on when another VM or another epoch is to be stopped`() async throws {
        let (host, agent) = (host, host.agent())
        host.gates.close("agent-stop.received")
        let others = [
            Task { try await agent.execute(stop(.force, of: otherVM), id: commandID(7)) },
            Task { try await agent.execute(stop(.force, now.next), id: commandID(8)) },
        ]
        let areThere = await eventually { host.gates.held("agent-stop.received") == 2 }
        #expect(areThere)
        async let graceful = agent.execute(stop(.grace), id: first)
        let isThere = await eventually { host.gates.held("agent-stop.received") == 3 }
        #expect(isThere)
        host.gates.open("agent-stop.received")
        let outcome = try await graceful
        #expect(outcome.effect == .stopped)
        for other in others { _ = try await other.value }
        #expect(host.with { $0.presses.count } == 6)
    }

    @Test func `an agent that is stopped leaves the guest its grace time, and the next agent goes on`() async throws {
        let host = host
        host.with {
            $0.guest = { presses in
                if presses == 2 { withUnsafeCurrentTask { $0?.cancel() } }
                return .ignores
            }
        }
        let broken = Task { try await host.agent().execute(stop(.grace, timeout: .seconds(600)), id: first) }
        await #expect(throws: CancellationError.self) { try await broken.value }
        #expect(host.isLive())
        #expect(host.with { $0.cut.isEmpty })
        guard case .begun? = host.entry(first) else {
            Issue.record("the command is not in the journal as begun")
            return
        }
        host.with { $0.guest = { _ in .powersOff } }
        let outcome = try await host.agent().execute(stop(.grace, timeout: .seconds(600)), id: first)
        #expect(outcome.effect == .stopped)
        #expect(host.with { $0.cut.isEmpty })
    }

    // MARK: When libvirt does not do it

    @Test func `a cold stop that libvirt cannot do fails, with a hint`() async throws {
        host.with { $0.cuts = [.fails("Device or resource busy")] }
        let outcome = try await host.agent().execute(stop(.cold), id: first)
        #expect(outcome.failure?.message.contains("Device or resource busy") == true)
        #expect(outcome.failure?.hint?.contains("--mode force") == true)
        #expect(host.isLive())
        #expect(host.with { $0.killed.isEmpty && $0.released.isEmpty })
    }

    @Test(arguments: [FakeHost.Conduct.fails("Device or resource busy"), .isSilent])
    func `force kills a QEMU that libvirt cannot end`(conduct: FakeHost.Conduct) async throws {
        host.with { $0.cuts = [conduct] }
        let outcome = try await host.agent().execute(stop(.force), id: first)
        #expect(outcome.effect == .stopped)
        #expect(host.with { $0.killed } == [someVM])
        #expect(!host.isLive())
    }

    @Test func `force kills a QEMU whose libvirt falls silent before it can be asked`() async throws {
        host.gates.close("agent-stop.before-libvirt")
        let (agent, host) = (host.agent(), host)
        async let outcome = agent.execute(stop(.force), id: first)
        let isHeld = await eventually { host.gates.held("agent-stop.before-libvirt") == 1 }
        #expect(isHeld)
        host.with { $0.isReachable = false }
        host.gates.open("agent-stop.before-libvirt")
        let isKilled = await eventually { host.with { $0.killed } == [someVM] }
        #expect(isKilled)
        host.with { $0.isReachable = true }
        let end = try await outcome
        #expect(end.effect == .stopped)
    }

    @Test func `a QEMU that cannot even be killed is a failure, not stopped`() async throws {
        host.with {
            $0.cuts = [.fails("busy")]
            $0.kills = [.fails("it is in uninterruptible sleep")]
        }
        let outcome = try await host.agent().execute(stop(.force), id: first)
        #expect(outcome.failure?.message.contains("uninterruptible") == true)
        #expect(host.isLive())
    }

    @Test(arguments: [stop(.grace), stop(.cold), stop(.force), stop(ignoreNotFound: true), destroy()])
    func `a command is rejected while libvirt is silent, and may be repeated`(command: HostCommand) async throws {
        host.with { $0.isReachable = false }
        let agent = host.agent()
        let outcome = try await agent.execute(command, id: first)
        #expect(outcome.rejection == .libvirtUnavailable)
        #expect(host.with { $0.released.isEmpty && $0.removed.isEmpty && $0.killed.isEmpty })
        #expect(host.mark() == .none)
        host.with { $0.isReachable = true }
        let again = try await agent.execute(command, id: first)
        #expect(again.effect == .stopped || again.effect == .destroyed)
    }

    @Test(arguments: [Duration.zero, .seconds(1), .seconds(8)])
    func `a stop waits for a libvirt that fell silent in its middle, and then tells what is`(
        delay: Duration
    ) async throws {
        let (host, agent) = (host, host.agent())
        host.with { $0.cuts = [.isSilentAndWorks(after: delay)] }
        host.gates.close("agent-stop.before-libvirt")
        async let running = agent.execute(stop(.cold), id: first)
        let isHeld = await eventually { host.gates.held("agent-stop.before-libvirt") == 1 }
        #expect(isHeld)
        host.silence(for: .seconds(20))
        host.time.plan(after: .seconds(4)) { host.hide() }
        host.gates.open("agent-stop.before-libvirt")
        let outcome = try await running
        #expect(outcome.effect == .stopped)
        #expect(host.time.monotonic() >= .seconds(20))
    }

    @Test func `a stop that libvirt lost fails, and the domain is what libvirt shows`() async throws {
        host.with { $0.cuts = [.isSilent] }
        let outcome = try await host.agent().execute(stop(.cold), id: first)
        #expect(outcome.failure != nil)
        #expect(host.isLive())
    }

    @Test func `a stop whose clean-up fails says so, though the domain is gone`() async throws {
        host.with { $0.releaseFault = Fault(.unavailable, .internalError, "The lock cannot be given back.") }
        let agent = host.agent()
        let outcome = try await agent.execute(stop(), id: first)
        #expect(outcome.failure?.message == "The lock cannot be given back.")
        host.with { $0.releaseFault = nil }
        let again = try await agent.execute(stop(ignoreNotFound: true), id: second)
        #expect(again.effect == .notFound)
        #expect(host.with { $0.released } == [someVM])
    }
}
