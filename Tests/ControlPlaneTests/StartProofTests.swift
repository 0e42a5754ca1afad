import ControlPlane
import Domain
import Synchronization
import Testing

@Suite struct StartProofTests {
    private let caller = Rig.operatorCaller

    private func connected(_ rig: Rig) async throws {
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
    }

    /// The first answer is lost, and the agent refuses what is sent again, for as long as the test says.
    private func refuseRepeats(_ rig: Rig, with fault: Fault, until isOver: @escaping @Sendable () -> Bool) {
        let sent = Mutex(0)
        rig.hosts.decideFate { command in
            guard case .start = command else { return .deliver }
            let count = sent.withLock { count in
                count += 1
                return count
            }
            if count == 1 { return .loseAnswer }
            return isOver() ? .deliver : .reject(fault)
        }
    }

    @Test(arguments: [FaultCode.libvirtUnavailable, .internalError])
    func `a refusal to look again is no proof that the first start had no effect`(code: FaultCode) async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await connected(rig)
        let over = Flag()
        refuseRepeats(rig, with: Fault(.unavailable, code, "It cannot be asked.")) { over.isSet }
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("the start was refused") {
            let job = try await rig.jobs.operation(start.id.rawValue)
            return job.attempts >= 3 || job.state.isEnded ? true : nil
        }
        #expect(try await rig.vm().state.label == .unknown)
        #expect(rig.hosts.host(rigHostA).domains.count == 1)
        await #expect(throws: Fault.self) { try await rig.vms.start("v", on: "b", by: caller) }
        over.set()
        let ended = try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(60))
        #expect(ended.outcome == .started)
        #expect(try await rig.vm().state.label == .running)
    }

    @Test(arguments: [
        Fault(.unavailable, .internalError, "The agent's own disk failed."),
        Fault(.unavailable, .outcomeUnknown, "libvirt has begun to start the domain, and does not come to an end."),
    ])
    func `an agent's own failure in a first start, or its libvirt's in the middle of it, proves nothing`(
        broken: Fault
    ) async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await connected(rig)
        let over = Flag()
        rig.hosts.decideFate { _ in over.isSet ? .deliver : .reject(broken) }
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("it is tried again") {
            try await rig.jobs.operation(start.id.rawValue).attempts > 2 ? true : nil
        }
        #expect(try await rig.vm().state.label == .unknown)
        over.set()
        #expect(try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(60)).outcome == .started)
    }

    @Test func `a start that was done and whose guest is gone since is not said to run`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await connected(rig)
        rig.hosts.decideFate { _ in .loseAnswer }
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("unknown") { try await rig.vm().state.label == .unknown ? true : nil }
        try await rig.cut(rigHostA)
        rig.hosts.decideFate { _ in .deliver }
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        try await rig.connect(rigHostA)
        let ended = try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(60))
        #expect(ended.outcome == .started)
        #expect(try await rig.vm().state == .stopped(.foundGone))
    }

    @Test func `a guest that ended before its start's answer was started all the same`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await connected(rig)
        rig.hosts.decideFate { _ in .loseAnswer }
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("unknown") { try await rig.vm().state.label == .unknown ? true : nil }
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        let vm = try await rig.vm()
        let gone = DomainChange(vm: vm.id, epoch: Epoch(1), state: .gone(.guestShutdown), sequence: 99)
        try await rig.sessions.received(gone, from: rigHostA, session: rig.hosts.host(rigHostA).session)
        let ended = try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(60))
        #expect(ended.outcome == .started)
        #expect(try await rig.vm().state == .stopped(.guestShutdown))
    }
}

/// Something that a test says once.
final class Flag: Sendable {
    private let value = Mutex(false)

    var isSet: Bool { value.withLock { $0 } }

    func set() { value.withLock { $0 = true } }
}
