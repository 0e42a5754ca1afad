import Domain
import HostAgent
import Testing

@testable import LibvirtHypervisor

@Suite struct KnownDomainsTests {
    private var known = KnownDomains()

    private func present(_ epoch: Int64?, _ state: DomainState = .running) -> KnownDomains.Sight {
        .present(ObservedDomain(vm: sampleVM, epoch: epoch.map { Epoch($0) }, state: state))
    }

    private mutating func after(
        _ kind: LifecycleNotice.Kind, seeing sight: KnownDomains.Sight
    ) -> [HypervisorEvent] {
        known.events(after: LifecycleNotice(vm: sampleVM, kind: kind), seeing: sight)
    }

    @Test mutating func `a domain's end names the epoch that it had`() {
        known.reset(to: [ObservedDomain(vm: sampleVM, epoch: Epoch(7), state: .running)])
        #expect(
            after(.stopped(.guestShutdown), seeing: .absent) == [.changed(sampleVM, Epoch(7), .gone(.guestShutdown))])
        #expect(after(.stopped(.guestShutdown), seeing: .absent) == [])
    }

    @Test mutating func `a state is told once, and each change of it`() {
        #expect(after(.changed, seeing: present(7)) == [.changed(sampleVM, Epoch(7), .running)])
        #expect(after(.changed, seeing: present(7)) == [])
        #expect(after(.changed, seeing: present(7, .paused)) == [.changed(sampleVM, Epoch(7), .paused)])
        #expect(after(.changed, seeing: present(8)) == [.changed(sampleVM, Epoch(8), .running)])
    }

    @Test mutating func `a late notice of an end does not end the domain that runs now`() {
        known.reset(to: [ObservedDomain(vm: sampleVM, epoch: Epoch(8), state: .running)])
        #expect(after(.stopped(.failed), seeing: present(8)) == [])
        #expect(after(.stopped(.failed), seeing: .absent) == [.changed(sampleVM, Epoch(8), .gone(.failed))])
    }

    @Test mutating func `an end and the next start are told apart, though both happened before the notice was read`() {
        known.reset(to: [ObservedDomain(vm: sampleVM, epoch: Epoch(7), state: .running)])
        #expect(
            after(.stopped(.failed), seeing: present(8)) == [
                .changed(sampleVM, Epoch(7), .gone(.failed)), .changed(sampleVM, Epoch(8), .running),
            ])
    }

    @Test mutating func `a domain that ended before it was ever seen ends with the epoch of its start`() {
        known.willStart(sampleVM, Epoch(9))
        #expect(after(.changed, seeing: .absent) == [])
        #expect(after(.stopped(.failed), seeing: .absent) == [.changed(sampleVM, Epoch(9), .gone(.failed))])
    }

    @Test mutating func `a start that failed leaves nothing to end`() {
        known.willStart(sampleVM, Epoch(9))
        known.didNotStart(sampleVM, Epoch(9))
        #expect(after(.changed, seeing: .absent) == [])
        #expect(after(.stopped(.failed), seeing: .absent) == [])
    }

    @Test mutating func `others' domains are not Roost's business`() {
        #expect(after(.changed, seeing: .absent) == [])
        #expect(after(.stopped(.domainDestroyed), seeing: .absent) == [])
        #expect(after(.changed, seeing: .unreadable) == [])
        #expect(after(.definition, seeing: .absent) == [])
    }

    @Test mutating func `a domain whose epoch cannot be read asks for an inventory`() {
        known.reset(to: [ObservedDomain(vm: sampleVM, epoch: Epoch(7), state: .running)])
        #expect(after(.changed, seeing: present(nil)) == [.changed(sampleVM, nil, .running)])
        #expect(after(.stopped(.failed), seeing: .absent) == [.changed(sampleVM, nil, .gone(.failed))])
    }

    @Test mutating func `a QEMU ended by a signal from outside is no guest that powered off`() {
        known.reset(to: [ObservedDomain(vm: sampleVM, epoch: Epoch(7), state: .running)])
        #expect(after(.endingFromOutside, seeing: present(7)) == [])
        #expect(after(.stopped(.guestShutdown), seeing: .absent) == [.changed(sampleVM, Epoch(7), .gone(.failed))])
    }

    @Test mutating func `virsh destroy stays virsh destroy, though it ends QEMU by a signal`() {
        known.reset(to: [ObservedDomain(vm: sampleVM, epoch: Epoch(7), state: .running)])
        _ = after(.endingFromOutside, seeing: present(7))
        #expect(
            after(.stopped(.domainDestroyed), seeing: .absent)
                == [.changed(sampleVM, Epoch(7), .gone(.domainDestroyed))])
    }
}
