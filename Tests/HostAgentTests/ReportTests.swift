import Domain
import HostAgent
import Testing

@Suite struct ReportTests {
    private let host = FakeHost()

    /// Runs `body` while an agent watches libvirt, with what it reports.
    private func watching(
        _ body: (Agent, inout AsyncStream<AgentReport>.Iterator) async throws -> Void
    ) async throws {
        let (host, agent) = (host, host.agent())
        var reports = agent.reports().makeAsyncIterator()
        let watch = Task { await agent.run() }
        let isWatched = await eventually { host.with { $0.events != nil } && host.time.sleepers == 1 }
        #expect(isWatched)
        try await body(agent, &reports)
        watch.cancel()
        await watch.value
    }

    @Test func `changes are reported in the order in which libvirt told them`() async throws {
        try await watching { _, reports in
            let states: [DomainState] = [.running, .paused, .running, .gone(.guestShutdown)]
            for state in states { host.tell(.changed(someVM, now, state)) }
            var numbers: [Int64] = []
            for state in states {
                guard case .domainChanged(someVM, now, state, let sequence)? = await reports.next() else {
                    Issue.record("another report than \(state)")
                    return
                }
                numbers.append(sequence)
            }
            #expect(numbers == numbers.sorted())
            #expect(Set(numbers).count == numbers.count)
        }
    }

    @Test func `a change without a readable epoch brings an inventory`() async throws {
        host.show(nil)
        try await watching { _, reports in
            host.tell(.changed(someVM, nil, .running))
            guard case .inventory(let inventory)? = await reports.next() else {
                Issue.record("no inventory")
                return
            }
            #expect(inventory.domains == [ObservedDomain(vm: someVM, epoch: nil, state: .running)])
        }
    }

    @Test func `a lost libvirt is reported, and an inventory when it is back`() async throws {
        try await watching { _, reports in
            host.tell(.disconnected("end of file"))
            let lost = await reports.next()
            #expect(lost == .lostSight)
            host.tell(.connected)
            guard case .inventory(let inventory)? = await reports.next() else {
                Issue.record("no inventory")
                return
            }
            #expect(inventory.libvirtAnswered)
        }
    }

    @Test func `an inventory from before libvirt fell silent is not sent after that`() async throws {
        let host = host
        try await watching { _, reports in
            host.gates.close("libvirt.after-domains")
            host.time.advance(by: .seconds(61))
            let isHeld = await eventually { host.gates.held("libvirt.after-domains") == 1 }
            #expect(isHeld)
            host.tell(.disconnected("end of file"))
            let lost = await reports.next()
            #expect(lost == .lostSight)
            host.gates.open("libvirt.after-domains")
            let isOver = await eventually { host.time.sleepers == 1 }
            #expect(isOver)
            host.tell(.changed(someVM, now, .running))
            guard case .domainChanged? = await reports.next() else {
                Issue.record("the old inventory was sent")
                return
            }
        }
    }

    @Test func `an inventory is sent now and then`() async throws {
        let host = host
        try await watching { _, reports in
            var numbers: [Int64] = []
            for _ in 1...3 {
                let isAsleep = await eventually { host.time.sleepers == 1 }
                #expect(isAsleep)
                host.time.advance(by: .seconds(60))
                guard case .inventory(let inventory)? = await reports.next() else {
                    Issue.record("no inventory")
                    return
                }
                numbers.append(inventory.sequence)
            }
            #expect(numbers == numbers.sorted())
        }
    }

    @Test func `a new listener ends the earlier one`() async {
        let agent = host.agent()
        var earlier = agent.reports().makeAsyncIterator()
        let later = agent.reports()
        let end = await earlier.next()
        #expect(end == nil)
        withExtendedLifetime(later) {}
    }
}
