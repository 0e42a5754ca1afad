import Domain
import Foundation
import HostAgent
import Testing

@testable import LibvirtHypervisor

/// With libvirt's built-in test driver, which keeps domains in this process and runs nothing.
@Suite(.serialized, .timeLimit(.minutes(1))) struct LibvirtHypervisorTests {
    private let vm = VMID(trusted: UUID().uuidString.lowercased())

    private func hypervisor(_ uri: String = "test:///default") -> LibvirtHypervisor {
        LibvirtHypervisor(
            uri: uri, confinement: .libvirt, limits: .init(),
            finding: .init(type: .test, reason: "This is libvirt's test driver."))
    }

    @Test func `a domain's life is told in order, each time with its epoch`() async throws {
        let hypervisor = hypervisor()
        defer { hypervisor.close() }
        var events = hypervisor.events().makeAsyncIterator()
        #expect(await events.next() == .connected)
        #expect(try await hypervisor.domain(of: vm) == nil)

        try await hypervisor.start(sampleSpec(vm: vm, epoch: 7))
        #expect(await events.next() == .changed(vm, Epoch(7), .running))
        let running = ObservedDomain(vm: vm, epoch: Epoch(7), state: .running)
        #expect(try await hypervisor.domain(of: vm) == running)
        #expect(try await hypervisor.domains() == [running])
        let name = "web-1-\(vm.rawValue.prefix(8))"
        #expect(
            try await hypervisor.heldDomains() == [HeldDomain(seen: running, name: name, cpus: 2, memory: 512)])

        try await hypervisor.cutPower(of: vm)
        #expect(await events.next() == .changed(vm, Epoch(7), .gone(.domainDestroyed)))
        #expect(try await hypervisor.domains() == [])

        try await hypervisor.start(sampleSpec(vm: vm, epoch: 8))
        #expect(await events.next() == .changed(vm, Epoch(8), .running))
        try await hypervisor.cutPower(of: vm)
        #expect(await events.next() == .changed(vm, Epoch(8), .gone(.domainDestroyed)))
    }

    @Test func `a second domain of the same VM is refused, and the first stays`() async throws {
        let hypervisor = hypervisor()
        defer { hypervisor.close() }
        try await hypervisor.start(sampleSpec(vm: vm, epoch: 7))
        let refusal = HypervisorError.failed("A domain of epoch 7 of this VM runs here already; stop it first.")
        await #expect(throws: refusal) {
            try await hypervisor.start(sampleSpec(vm: vm, epoch: 8))
        }
        #expect(try await hypervisor.domain(of: vm)?.epoch == Epoch(7))
        try await hypervisor.cutPower(of: vm)
    }

    @Test func `what is not there cannot be stopped, and that is an answer`() async throws {
        let hypervisor = hypervisor()
        defer { hypervisor.close() }
        await #expect(throws: HypervisorError.noDomain) { try await hypervisor.cutPower(of: vm) }
        await #expect(throws: HypervisorError.noDomain) { try await hypervisor.pressPowerButton(of: vm) }
        #expect(try await hypervisor.process(of: vm) == nil)
    }

    @Test func `others' domains are not listed`() async throws {
        // The test driver begins with a running domain of its own.
        let hypervisor = hypervisor()
        defer { hypervisor.close() }
        #expect(try await hypervisor.domains() == [])
    }

    @Test func `a start that libvirt refuses leaves no domain`() async throws {
        let hypervisor = hypervisor()
        defer { hypervisor.close() }
        let error = await #expect(throws: HypervisorError.self) {
            try await hypervisor.start(sampleSpec(vm: vm, cpus: 0))
        }
        guard case .failed = error else {
            Issue.record("\(String(describing: error)) is not libvirt's refusal")
            return
        }
        #expect(try await hypervisor.domain(of: vm) == nil)
    }

    @Test func `a libvirtd that is not there is unreachable, and never an empty list`() async throws {
        let hypervisor = hypervisor("qemu+unix:///system?socket=/nonexistent/libvirt-sock")
        defer { hypervisor.close() }
        var events = hypervisor.events().makeAsyncIterator()
        guard case .disconnected = await events.next() else {
            Issue.record("the loss was not told first")
            return
        }
        for _ in 1...3 {
            let error = await #expect(throws: HypervisorError.self) { try await hypervisor.domains() }
            guard case .unreachable(let reason) = error else {
                Issue.record("\(String(describing: error)) is not unreachable")
                return
            }
            #expect(reason.contains("/nonexistent/libvirt-sock"))
        }
    }

    @Test func `a new stream of events ends the earlier one and says that the connection is there`() async throws {
        let hypervisor = hypervisor()
        defer { hypervisor.close() }
        var first = hypervisor.events().makeAsyncIterator()
        #expect(await first.next() == .connected)
        var second = hypervisor.events().makeAsyncIterator()
        #expect(await first.next() == nil)
        #expect(await second.next() == .connected)
    }

    @Test func `facts and capacity come from libvirt`() async throws {
        let hypervisor = hypervisor()
        defer { hypervisor.close() }
        let facts = try await hypervisor.facts()
        #expect(facts.domainType == "test")
        #expect(facts.libvirtVersion.split(separator: ".").count == 3)
        let (cpus, memory) = try await hypervisor.capacity()
        #expect(cpus > 0 && memory > 0)
    }

    @Test func `without a KVM device guests are emulated, and the reason names it`() async {
        let finding = await AccelerationProbe(device: "/nonexistent/kvm").run()
        #expect(finding.type == .qemu)
        #expect(finding.reason.contains("/nonexistent/kvm"))
    }

    @Test func `a probe that cannot run its emulator finds no KVM`() async {
        let finding = await AccelerationProbe(device: "/dev/null", emulator: "no-such-emulator").run()
        #expect(finding.type == .qemu)
        #expect(finding.reason.contains("no-such-emulator"))
    }
}
