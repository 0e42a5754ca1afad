import ControlPlane
import Domain
import Testing

@Suite struct CapacityTests {
    @Test(arguments: [("4", 4000, "4"), ("1.5", 1500, "1.5"), ("0.125", 125, "0.125"), ("2.50", 2500, "2.5")])
    func `a ratio is a decimal with at most three places`(_ text: String, _ thousandths: Int, _ shown: String) {
        #expect(Ratio(text)?.thousandths == thousandths)
        #expect(Ratio(text)?.description == shown)
    }

    @Test(arguments: ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.2345", "1,5", " 1", "x", "9999999999"])
    func `anything else is no ratio`(_ text: String) { #expect(Ratio(text) == nil) }

    @Test func `what can be handed out follows from what the host has, and never overflows`() {
        let policy = CapacityPolicy(
            cpuRatio: Ratio(thousandths: 1500), memoryRatio: Ratio(thousandths: 1250), memoryReserve: 1024)
        let host = Allocation(cpus: 3, memory: 5120)
        #expect(policy.allocatable(of: host) == Allocation(cpus: 4, memory: 5120))
        #expect(policy.allocatable(of: Allocation(cpus: 1, memory: 512)) == Allocation(cpus: 1, memory: 0))
        #expect(policy.allocatable(of: Allocation(cpus: .max, memory: .max)).cpus == .max)
    }

    @Test func `starts at once fill a host's virtual CPUs and no more, and a VM is never larger than its host`()
        async throws
    {
        let rig = try await Rig { $0.capacity.cpuRatio = Ratio(thousandths: 1500) }
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let caller = Rig.operatorCaller
        let names = (0..<24).map { "v\($0)" }
        for name in names {
            _ = try await rig.vms.create(NewVM(name: name, image: "tiny", cpus: 2, memory: 16), by: caller)
        }
        let accepted = try await rig.startAll(names, refusedWith: [.noCapacity])
        // The host has 8 CPUs, of which 12 are handed out.
        #expect(accepted.count == 6)
        #expect(try await rig.hostService.host("a").allocated.cpus == 12)
        let first = try #require(accepted.first)
        let stop = try await rig.vms.stop(first, StopRequest(mode: .cold), by: caller)
        _ = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
        _ = try await rig.vms.create(NewVM(name: "wide", image: "tiny", cpus: 9, memory: 16), by: caller)
        let fault = await #expect(throws: Fault.self) { try await rig.vms.start("wide", on: "a", by: caller) }
        #expect(fault?.message == "The host has 8 CPUs; the VM needs 9.")
        let another = try #require(names.first { !accepted.contains($0) })
        _ = try await rig.vms.start(another, on: nil, by: caller)
        #expect(try await rig.hostService.host("a").allocated.cpus == 12)
    }

    @Test func `a host over its limit takes nothing, and says what is free`() async throws {
        let rig = try await Rig { $0.capacity = CapacityPolicy(memoryReserve: 8000) }
        try await rig.connect(rigHostA)
        let plan = try await rig.vms.plan(cpus: 1, memory: 193)
        #expect(plan.first?.refusal?.message == "The host has 192 MiB free; the VM needs 193.")
        let host = try await rig.hostService.host("a").host
        #expect(rig.hostService.allocatable(of: host) == Allocation(cpus: 32, memory: 192))
    }
}

extension Rig {
    /// Starts all of them at once, wherever there is room; returns those that were accepted. Every refusal must have one of
    /// `codes`.
    func startAll(_ names: [String], refusedWith codes: Set<FaultCode>) async throws -> [String] {
        let vms = vms
        return try await withThrowingTaskGroup(of: String?.self) { group in
            for name in names {
                group.addTask {
                    do {
                        _ = try await vms.start(name, on: nil, by: Rig.operatorCaller)
                        return name
                    } catch let fault as Fault {
                        guard codes.contains(fault.code) else { throw fault }
                        return nil
                    }
                }
            }
            return try await group.reduce(into: []) { all, name in if let name { all.append(name) } }
        }
    }
}
