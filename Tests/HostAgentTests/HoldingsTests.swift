import Domain
import HostAgent
import Testing

@Suite struct HoldingsTests {
    private let host = FakeHost()

    @Test func `all that lies on the host is listed, with the highest epoch that was seen of each VM`() async throws {
        host.show(now)
        host.show(nil, of: otherVM)
        host.mark(EpochMark(highest: Epoch(3), closed: .none))
        host.mark(EpochMark(highest: Epoch(8), closed: Epoch(9)), of: otherVM)
        let third = VMID(trusted: "cccccccc-0000-4000-8000-00000000000c")
        host.with { $0.files = [HeldFile(vm: third, kind: .rootDisk, bytes: 5)] }
        let holdings = try await host.agent().collectHoldings()
        #expect(holdings.domains.map(\.seen.vm) == [someVM, otherVM])
        #expect(holdings.domains.map(\.seen.epoch) == [now, nil])
        #expect(holdings.files.map(\.vm) == [third])
        // The domain's own where it is higher, and none where none was seen.
        #expect(holdings.epochs == [someVM: now, otherVM: Epoch(9)])
    }

    @Test func `a libvirt that does not answer is an error, not an empty list`() async {
        host.with { $0.isReachable = false }
        let agent = host.agent()
        let fault = await #expect(throws: Fault.self) { try await agent.collectHoldings() }
        #expect(fault?.code == .libvirtUnavailable)
    }
}
