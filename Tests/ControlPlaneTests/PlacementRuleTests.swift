import ControlPlane
import Domain
import Testing

/// Labels and what VMs ask of their hosts, through the whole control plane.
@Suite struct PlacementRuleTests {
    private let caller = Rig.operatorCaller

    private func rig() async throws -> Rig {
        let rig = try await Rig()
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        return rig
    }

    private func add(
        _ name: String, to rig: Rig, labels: [String: String] = [:], rules: PlacementRules = .none
    ) async throws {
        _ = try await rig.vms.create(
            NewVM(name: name, image: "tiny", cpus: 1, memory: 128, labels: Labels(trusted: labels), rules: rules),
            by: caller)
    }

    private func start(_ name: String, on host: String? = nil, in rig: Rig) async throws -> HostID {
        try await rig.vms.start(name, on: host, by: caller).host
    }

    private func refusal(_ name: String, on host: String? = nil, in rig: Rig) async throws -> Fault? {
        await #expect(throws: Fault.self) { try await rig.vms.start(name, on: host, by: caller) }
    }

    private func labels(_ key: String, _ value: String) -> Labels { Labels(trusted: [key: value]) }

    @Test func `a VM starts only on a host with the labels that it asks for, also where it is told to`() async throws {
        let rig = try await rig()
        try await add("v", to: rig, rules: PlacementRules(hostLabels: labels("zone", "b")))
        let none = try await refusal("v", in: rig)
        #expect(none?.code == .noCapacity)
        #expect(none?.hint?.contains("a: The host does not have the label zone=b.") == true)
        _ = try await rig.hostService.label("b", LabelPatch(changes: ["zone": "b"]), by: caller)
        #expect(try await refusal("v", on: "a", in: rig)?.code == .labelsMismatch)
        #expect(try await start("v", in: rig) == rigHostB)
    }

    @Test func `a VM joins those it has an affinity to, and goes anywhere while none is placed`() async throws {
        let rig = try await rig()
        try await add("web", to: rig, labels: ["app": "web"])
        try await add("cache", to: rig, labels: ["app": "cache"], rules: PlacementRules(affinity: labels("app", "web")))
        let free = try await rig.vms.plan(
            cpus: 1, memory: 128, rules: PlacementRules(affinity: labels("app", "web")))
        #expect(free.allSatisfy { $0.refusal == nil })
        #expect(try await start("web", on: "b", in: rig) == rigHostB)
        #expect(try await refusal("cache", on: "a", in: rig)?.code == .affinity)
        // Host A has more room, and is not asked.
        #expect(try await start("cache", in: rig) == rigHostB)
    }

    @Test func `a VM's own label is no company for it`() async throws {
        let rig = try await rig()
        let rules = PlacementRules(affinity: labels("app", "web"), antiAffinity: labels("app", "web"))
        try await add("web", to: rig, labels: ["app": "web"], rules: rules)
        #expect(try await start("web", in: rig) == rigHostA)
    }

    @Test func `anti-affinity keeps apart from both sides`() async throws {
        let rig = try await rig()
        try await add("db", to: rig, labels: ["app": "db"])
        try await add("shy", to: rig, labels: ["app": "shy"], rules: PlacementRules(antiAffinity: labels("app", "db")))
        try await add("db2", to: rig, labels: ["app": "db"])
        #expect(try await start("db", on: "a", in: rig) == rigHostA)
        #expect(try await refusal("shy", on: "a", in: rig)?.code == .antiAffinity)
        #expect(try await start("shy", in: rig) == rigHostB)
        // It says nothing of its own, but a VM there stays away from its label.
        let kept = try await refusal("db2", on: "b", in: rig)
        #expect(kept?.code == .antiAffinity)
        #expect(kept?.message.contains("shy") == true)
        #expect(try await start("db2", in: rig) == rigHostA)
    }

    @Test func `of VMs that stay away from each other and start at once, one comes up on each host`() async throws {
        let rig = try await rig()
        let names = (0..<12).map { "v\($0)" }
        let rules = PlacementRules(antiAffinity: labels("app", "db"))
        for name in names { try await add(name, to: rig, labels: ["app": "db"], rules: rules) }
        let accepted = try await rig.startAll(names, refusedWith: [.noCapacity])
        #expect(accepted.count == 2)
        let hosts = try await rig.database.read { tx in try accepted.map { try tx.vm(named: $0)?.state.placement?.host }
        }
        #expect(Set(hosts) == [rigHostA, rigHostB])
    }

    @Test func `a VM that is placed on a deleted host still counts as company that nobody can join`() async throws {
        let rig = try await rig()
        try await add("web", to: rig, labels: ["app": "web"])
        try await add("cache", to: rig, rules: PlacementRules(affinity: labels("app", "web")))
        _ = try await start("web", on: "b", in: rig)
        try await rig.cut(rigHostB)
        _ = try await rig.hostService.delete("b", isForced: true, by: caller)
        #expect(try await refusal("cache", on: "a", in: rig)?.code == .affinity)
    }

    @Test func `a plan explains each host with a code and a score`() async throws {
        let rig = try await rig()
        try await add("db", to: rig, labels: ["app": "db"])
        _ = try await start("db", on: "a", in: rig)
        let plan = try await rig.vms.plan(
            cpus: 1, memory: 128, labels: labels("app", "shy"), rules: PlacementRules(antiAffinity: labels("app", "db"))
        )
        #expect(plan.map(\.candidate.host.name) == ["b", "a"])
        #expect(plan.map { $0.refusal?.code } == [nil, .antiAffinity])
        // 8192 MiB and 32 virtual CPUs.
        #expect(plan.map(\.candidate.score.freeMemory) == [1000, 984])
        #expect(plan.map(\.candidate.score.freeCPUs) == [1000, 968])
    }

    @Test func `a change of labels is an event with its author, and none where nothing changes`() async throws {
        let rig = try await rig()
        try await add("v", to: rig, labels: ["app": "web"])
        let before = try await rig.vm()
        _ = try await rig.vms.label("v", LabelPatch(changes: ["app": "db", "tier": "1"]), by: caller)
        _ = try await rig.vms.label("v", LabelPatch(changes: ["app": "db", "none": nil]), by: caller)
        _ = try await rig.hostService.label("a", LabelPatch(changes: ["zone": "a"]), by: caller)
        let vm = try await rig.vm()
        #expect(vm.labels.values == ["app": "db", "tier": "1"])
        #expect(vm.revision == before.revision + 1)
        let events = try await rig.database.read { tx in
            try tx.events(after: 0, limit: 100).map(\.event).filter { $0.kind.hasSuffix(".labels") }
        }
        #expect(events.map(\.kind) == ["vm.labels", "host.labels"])
        #expect(events.map(\.principal) == ["operator", "operator"])
        #expect(events.first?.message == "VM v has the labels app=db, tier=1 now.")
        let stale = Caller(principal: Principal(name: "operator"), ifMatch: before.revision)
        let fault = await #expect(throws: Fault.self) {
            try await rig.vms.label("v", .removeAll, by: stale)
        }
        #expect(fault?.code == .revisionMismatch)
    }
}
