import ControlPlane
import Domain
import Testing

/// Who goes where when a host is drained, as pure decisions.
@Suite struct DrainPlanTests {
    private static let poolA = PoolID(trusted: "99999999-0000-4000-8000-000000000001")
    private static let poolB = PoolID(trusted: "99999999-0000-4000-8000-000000000002")

    private func hostID(_ name: String) -> HostID {
        HostID(trusted: "00000000-0000-4000-8000-00000000000" + name)
    }

    private func host(
        _ name: String, _ state: Host.AdminState = .enabled, memory: Int = 1000, type: String = "qemu",
        isConnected: Bool = true, labels: Labels = .none
    ) -> Candidate {
        let host = Host(
            id: hostID(name), name: name, state: state, labels: labels,
            connection: isConnected ? .connected : .disconnected, libvirtAnswers: true,
            facts: HostFacts(
                cpus: 8, memory: memory, agentVersion: "",
                hypervisor: HypervisorFacts(domainType: type, reason: "", libvirtVersion: "", qemuVersion: ""),
                pool: Self.poolA),
            createdAt: Timestamp(milliseconds: 0), updatedAt: Timestamp(milliseconds: 0))
        return Candidate(host: host, allocated: Allocation(cpus: 0, memory: 0))
    }

    private func vm(
        _ name: String, memory: Int = 100, state: VMState? = nil, pool: PoolID? = nil, isBusy: Bool = false,
        labels: Labels = .none, rules: PlacementRules = .none
    ) -> VM {
        let digits = name.utf8.reduce(0) { $0 * 256 + Int($1) }
        let tail = String(digits)
        return VM(
            id: VMID(
                trusted: "eeeeeeee-0000-4000-8000-" + String(repeating: "0", count: 12 - tail.count) + tail),
            name: name, image: ImageID(trusted: "dddddddd-0000-4000-8000-000000000004"), cpus: 1, memory: memory,
            state: state ?? .running(here), epoch: Epoch(1), pool: pool,
            operation: isBusy ? JobID(trusted: "ffffffff-0000-4000-8000-00000000000f") : nil, labels: labels,
            rules: rules, createdAt: Timestamp(milliseconds: 0), updatedAt: Timestamp(milliseconds: 0))
    }

    private var here: Placement { Placement(host: hostID("a"), epoch: Epoch(1)) }
    private var there: Placement { Placement(host: hostID("b"), epoch: Epoch(2)) }

    /// A line for each VM, in the plan's order. Host `a` is drained.
    private func plan(
        _ vms: [VM], _ others: [Candidate], draining drained: Candidate? = nil, neighbours: [Neighbour] = [],
        overrides: [VMID: DrainPlan.Verdict] = [:]
    ) -> [String] {
        let drained = drained ?? host("a", .maintenance)
        let fleet = Fleet(candidates: [drained] + others, neighbours: neighbours)
        return DrainPlan(draining: drained.host, vms, in: fleet, overrides: overrides).items.map { item in
            let verdict =
                switch item.verdict {
                case .moves(let host): "moves to \(host.name)"
                case .leaves(let host): "leaves\(host == nil ? "" : " to another")"
                case .immovable(let why): "immovable, \(why.code.rawValue): \(why.message)"
                case .waits(let why): "waits, \(why.code.rawValue): \(why.message)"
                }
            return "\(item.vm.name) \(verdict)"
        }
    }

    private func labels(_ key: String, _ value: String) throws -> Labels { try Labels([key: value], field: "labels") }

    @Test func `the largest goes first, and each to where the most is free then`() {
        let vms = [vm("s", memory: 100), vm("l", memory: 600), vm("m", memory: 300)]
        #expect(
            plan(vms, [host("b", memory: 1000), host("c", memory: 800)])
                == ["l moves to b", "m moves to c", "s moves to c"])
    }

    @Test func `a plan never gives out the same room twice`() {
        let vms = [vm("x", memory: 600), vm("y", memory: 600), vm("z", memory: 400)]
        let lines = plan(vms, [host("b", memory: 1000)])
        #expect(lines[0] == "x moves to b")
        #expect(
            lines[1] == "y immovable, no-capacity: No host can take it. b: The host has 400 MiB free; the VM needs 600."
        )
        #expect(lines[2] == "z moves to b")
    }

    @Test func `each state has its verdict`() {
        let cases: [(VMState, String)] = [
            (.running(here), "moves to b"), (.paused(here), "moves to b"),
            (.migrating(Move(source: here, destination: there)), "leaves to another"),
            (.migrating(Move(source: there, destination: here)), "waits"),
            (.stopping(here, waiting: nil), "leaves"), (.stopping(here, waiting: .hostDisconnected), "waits"),
            (.destroying(here, waiting: nil), "leaves"), (.unknown(here, .outcomeUnknown), "waits"),
            (.starting(here), "waits"), (.rebooting(here), "waits"), (.pausing(here), "waits"),
        ]
        for (state, expected) in cases {
            let line = plan([vm("v", state: state)], [host("b")])[0]
            #expect(line.hasPrefix("v \(expected)"), "\(state.label): \(line)")
        }
        #expect(plan([vm("v", isBusy: true)], [host("b")])[0].hasPrefix("v waits, operation-in-progress"))
    }

    @Test func `what no host can take says why`() throws {
        #expect(
            plan([vm("v")], [host("b", .maintenance)])
                == ["v immovable, invalid-state: No host can take it. b: The host is maintenance."])
        #expect(plan([vm("v")], []) == ["v immovable, no-capacity: There is no other host."])
        let elsewhere = plan([vm("v", pool: Self.poolB)], [host("b")])[0]
        #expect(elsewhere.hasPrefix("v immovable, disk-elsewhere"))
        let kind = plan([vm("v")], [host("b", type: "kvm")])[0]
        #expect(kind.hasPrefix("v immovable, migration-impossible"))
        let rules = PlacementRules(hostLabels: try labels("zone", "x"))
        #expect(plan([vm("v", rules: rules)], [host("b")])[0].hasPrefix("v immovable, labels-mismatch"))
        #expect(
            plan([vm("v", rules: rules)], [host("b"), host("c", labels: try labels("zone", "x"))])
                == ["v moves to c"])
    }

    @Test func `a host that is only away may take a guest later`() {
        let away = host("b", isConnected: false)
        #expect(
            plan([vm("v")], [away])
                == ["v waits, host-unreachable: No host can take it. b: The host is not connected."])
        #expect(plan([vm("v")], [away, host("c", .disabled)])[0].hasPrefix("v waits, no-capacity"))
    }

    @Test func `many hosts with one reason are named together`() {
        let others = ["b", "c", "d", "e", "f"].map { host($0, .disabled) }
        #expect(
            plan([vm("v")], others)
                == ["v immovable, invalid-state: No host can take it. b, c, d, e and 1 more: The host is disabled."])
    }

    @Test func `guests that stay away from one another get hosts of their own`() throws {
        let app = try labels("app", "db")
        let rules = PlacementRules(antiAffinity: app)
        let vms = ["x", "y", "z"].map { vm($0, labels: app, rules: rules) }
        let lines = plan(vms, [host("b"), host("c")])
        let targets = Set(lines[0...1].map { $0.suffix(1) })
        #expect(targets == ["b", "c"])
        #expect(lines[2].hasPrefix("z immovable, anti-affinity"))
    }

    @Test func `guests that belong together move together, or to where the others are`() throws {
        let app = try labels("app", "web")
        let rules = PlacementRules(affinity: app)
        let vms = ["x", "y"].map { vm($0, labels: app, rules: rules) }
        let onA = vms.map {
            Neighbour(vm: $0.id, name: $0.name, host: hostID("a"), labels: app, antiAffinity: .none)
        }
        let small = host("c", memory: 500)
        #expect(plan(vms, [host("b"), small], neighbours: onA) == ["x moves to b", "y moves to b"])
        let other = Neighbour(
            vm: vm("w").id, name: "w", host: hostID("c"), labels: app, antiAffinity: .none)
        #expect(plan(vms, [host("b"), small], neighbours: onA + [other]) == ["x moves to c", "y moves to c"])
    }

    @Test func `nothing moves while the host cannot be asked, and what was settled beforehand holds`() {
        let silent = plan([vm("v")], [host("b")], draining: host("a", .maintenance, isConnected: false))
        #expect(silent == ["v waits, host-unreachable: Host a is disconnected."])
        let why = Fault(.conflict, .commandFailed, "It failed.")
        let settled = plan([vm("v")], [host("b")], overrides: [vm("v").id: .waits(why)])
        #expect(settled == ["v waits, command-failed: It failed."])
    }
}
