import ControlPlane
import Domain
import Testing

@Suite struct PlacementTests {
    private func candidate(
        _ name: String, free: Int, used: Int = 100, cpus: Int = 4, state: Host.AdminState = .enabled,
        connection: Host.Connection = .connected, libvirtAnswers: Bool = true
    ) -> Candidate {
        let facts = HostFacts(
            cpus: cpus, memory: free + used, agentVersion: "1",
            hypervisor: HypervisorFacts(domainType: "kvm", reason: "", libvirtVersion: "", qemuVersion: ""),
            pool: PoolID(trusted: "99999999-0000-4000-8000-000000000001"))
        let host = Host(
            id: HostID(from: Names(name)), name: name, state: state, connection: connection,
            libvirtAnswers: libvirtAnswers, facts: facts, createdAt: Timestamp(milliseconds: 0),
            updatedAt: Timestamp(milliseconds: 0))
        return Candidate(host: host, allocated: Allocation(cpus: 2, memory: used))
    }

    private struct Names: IDSource {
        let name: String
        init(_ name: String) { self.name = name }
        func uuid() -> String {
            let digits = String(name.utf8.reduce(0) { $0 * 256 + Int($1) }, radix: 16)
            return "aaaaaaaa-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
        }
    }

    @Test func `the best host comes first, and each other has its reason`() throws {
        let candidates = [
            candidate("full", free: 10), candidate("off", free: 900, state: .disabled), candidate("b", free: 500),
            candidate("gone", free: 900, connection: .disconnected), candidate("a", free: 500),
            candidate("blind", free: 900, libvirtAnswers: false), candidate("small", free: 900, cpus: 1),
            candidate("best", free: 600),
        ]
        let need = PlacementNeed(cpus: 2, memory: 128, pool: nil)
        let verdicts = PlacementChoice.verdicts(need, in: Fleet(candidates: candidates))
        #expect(verdicts.map(\.candidate.host.name) == ["best", "a", "b", "blind", "full", "gone", "off", "small"])
        #expect(verdicts.prefix(3).allSatisfy { $0.refusal == nil })
        #expect(
            verdicts.dropFirst(3).map { $0.refusal?.code } == [
                .libvirtUnavailable, .noCapacity, .hostUnreachable, .invalidState, .noCapacity,
            ])
        #expect(try PlacementChoice.choose(need, in: Fleet(candidates: candidates)).name == "best")
    }

    @Test func `the larger free share wins, then that of the CPUs, then the name`() {
        let candidates = [
            candidate("big", free: 3900, used: 100), candidate("empty", free: 1000, used: 0, cpus: 2),
            candidate("idle", free: 500, used: 0, cpus: 8), candidate("also", free: 700, used: 0, cpus: 8),
        ]
        let need = PlacementNeed(cpus: 1, memory: 128, pool: nil)
        let verdicts = PlacementChoice.verdicts(need, in: Fleet(candidates: candidates))
        #expect(verdicts.map(\.candidate.host.name) == ["also", "idle", "empty", "big"])
        #expect(verdicts.map(\.candidate.score.freeMemory) == [1000, 1000, 1000, 975])
        #expect(verdicts.map(\.candidate.score.freeCPUs) == [937, 937, 750, 875])
    }

    @Test func `when none can take it, what speaks against each is said`() throws {
        let candidates = [candidate("off", free: 900, state: .disabled), candidate("full", free: 10)]
        let need = PlacementNeed(cpus: 1, memory: 128, pool: nil)
        let fault = try #require(throws: Fault.self) {
            try PlacementChoice.choose(need, in: Fleet(candidates: candidates))
        }
        #expect(fault.code == .noCapacity)
        #expect(fault.hint?.contains("full: ") == true)
        #expect(fault.hint?.contains("off: ") == true)
    }

    @Test func `many starts at once never overfill a host, and what is given back can be had again`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let caller = Rig.operatorCaller
        let names = (0..<40).map { "v\($0)" }
        for name in names {
            _ = try await rig.vms.create(NewVM(name: name, image: "tiny", cpus: 1, memory: 1024), by: caller)
        }
        let accepted = try await rig.startAll(names, refusedWith: [.noCapacity])
        // The host has 8192 MiB.
        #expect(accepted.count == 8)
        #expect(try await rig.hostService.host("a").allocated.memory == 8192)
        let first = try #require(accepted.first)
        let stop = try await rig.vms.stop(first, StopRequest(mode: .cold), by: caller)
        _ = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
        #expect(try await rig.hostService.host("a").allocated.memory == 7168)
        let another = try #require(names.first { !accepted.contains($0) })
        _ = try await rig.vms.start(another, on: nil, by: caller)
        #expect(try await rig.hostService.host("a").allocated.memory == 8192)
    }

    @Test func `a plan places nothing`() async throws {
        let rig = try await Rig()
        try await rig.connect(rigHostA)
        let verdicts = try await rig.vms.plan(cpus: 1, memory: 128)
        #expect(verdicts.map(\.candidate.host.name) == ["a", "b"])
        #expect(verdicts.map { $0.refusal == nil } == [true, false])
        #expect(try await rig.hostService.host("a").allocated.memory == 0)
        await #expect(throws: Fault.self) { try await rig.vms.plan(cpus: 0, memory: 128) }
    }
}
