import CLibvirt
import Domain
import HostAgent
import Testing

@testable import LibvirtHypervisor

@Suite struct LibvirtAnswerTests {
    private func meaning(_ code: virErrorNumber, _ domain: virErrorDomain, alive: Bool = true) -> HypervisorError {
        HypervisorError(
            code: code.rawValue, domain: domain.rawValue, message: "it\nbroke", isConnectionAlive: alive)
    }

    @Test func `only libvirt's own word says that there is no domain`() {
        #expect(meaning(VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU) == .noDomain)
        #expect(meaning(VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU, alive: false) == .unreachable("it broke"))
    }

    @Test func `what the transport says is no answer`() {
        for code in [VIR_ERR_INTERNAL_ERROR, VIR_ERR_SYSTEM_ERROR, VIR_ERR_RPC] {
            #expect(meaning(code, VIR_FROM_RPC) == .unreachable("it broke"))
        }
        #expect(meaning(VIR_ERR_NO_CONNECT, VIR_FROM_NONE) == .unreachable("it broke"))
        #expect(meaning(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, alive: false) == .unreachable("it broke"))
    }

    @Test func `everything else is libvirt's refusal`() {
        for code in [VIR_ERR_INTERNAL_ERROR, VIR_ERR_SYSTEM_ERROR, VIR_ERR_OPERATION_TIMEOUT] {
            #expect(meaning(code, VIR_FROM_QEMU) == .failed("it broke"))
        }
    }

    @Test func `each end of a domain has its cause`() {
        func cause(_ detail: virDomainEventStoppedDetailType) -> LifecycleNotice.Kind {
            LifecycleNotice.Kind(event: VIR_DOMAIN_EVENT_STOPPED.rawValue, detail: detail.rawValue)
        }
        #expect(cause(VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN) == .stopped(.guestShutdown))
        #expect(cause(VIR_DOMAIN_EVENT_STOPPED_DESTROYED) == .stopped(.domainDestroyed))
        #expect(cause(VIR_DOMAIN_EVENT_STOPPED_CRASHED) == .stopped(.failed))
        #expect(cause(VIR_DOMAIN_EVENT_STOPPED_FAILED) == .stopped(.failed))
        #expect(cause(VIR_DOMAIN_EVENT_STOPPED_MIGRATED) == .stopped(.movedAway))
        #expect(LifecycleNotice.Kind(event: VIR_DOMAIN_EVENT_STOPPED.rawValue, detail: 99) == .stopped(.foundGone))
        #expect(LifecycleNotice.Kind(event: 99, detail: 0) == .changed)
    }

    @Test func `versions are readable`() {
        #expect(LibvirtConnection.version(9_000_000) == "9.0.0")
        #expect(LibvirtConnection.version(7_002_022) == "7.2.22")
    }
}
