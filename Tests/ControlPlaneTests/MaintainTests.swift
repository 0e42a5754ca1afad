import ControlPlane
import Domain
import Synchronization
import Testing

/// Hosts that are drained: every guest goes on somewhere, or the drain says why it does not.
@Suite struct MaintainTests {
    private let caller = Rig.operatorCaller

    /// Both hosts are connected, and `guests` run on A.
    private func rig(
        _ guests: [String] = ["v"], tuning tune: (inout ControlSettings) -> Void = { _ in },
        _ body: (Rig) async throws -> Void
    ) async throws {
        let rig = try await Rig(tuning: tune)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        for guest in guests { _ = try await rig.runningVM(guest) }
        try await body(rig)
    }

    private func drain(_ rig: Rig, stops: Bool = false) async throws -> Job {
        try await rig.hostService.maintain("a", stopsImmovable: stops, by: caller)
    }

    private func ended(_ job: Job, _ rig: Rig) async throws -> Job {
        try await rig.jobs.wait(for: job.id.rawValue, atMost: .seconds(20))
    }

    /// The drain once its latest round shows what is wanted.
    private func progress(
        of drain: Job, _ rig: Rig, _ what: String, _ holds: @escaping @Sendable (DrainProgress) -> Bool
    ) async throws -> Job {
        try await eventually(what) {
            let now = try await rig.jobs.operation(drain.id.rawValue)
            guard let progress = now.payload.drained, case .waiting = now.state, holds(progress) else { return nil }
            return now
        }
    }

    /// How many commands with `label` the hosts got.
    private func commands(_ label: String, _ rig: Rig) -> Int { rig.hosts.log.count { $0.contains(label) } }

    private func count(of names: [String], on host: HostID, _ rig: Rig) async throws -> Int {
        try await hosts(of: names, rig).count { $0 == host }
    }

    private func hosts(of names: [String], _ rig: Rig) async throws -> [HostID?] {
        var hosts: [HostID?] = []
        for name in names { hosts.append(try await rig.vm(name).state.placement?.host) }
        return hosts
    }

    @Test func `all guests of a drained host go on elsewhere, and it takes no new ones`() async throws {
        let names = ["u", "v", "w"]
        try await rig(names) { rig in
            _ = try await ended(try await rig.vms.control("w", .pause, by: caller), rig)
            let end = try await ended(try await drain(rig), rig)
            #expect(end.outcome == .drained)
            #expect(end.vmIfAny == nil)
            #expect(end.payload.drained == DrainProgress(departed: 3))
            #expect(try await hosts(of: names, rig) == [rigHostB, rigHostB, rigHostB])
            #expect(try await rig.vm("w").state.label == .paused)
            #expect(rig.hosts.host(rigHostA).domains.isEmpty)
            let host = try await rig.hostService.host("a")
            #expect(host.host.state == .maintenance)
            #expect(host.allocated.memory == 0)
            #expect(commands("stop", rig) == 0)
            _ = try await rig.vms.create(NewVM(name: "n", image: "tiny", cpus: 1, memory: 128), by: caller)
            let refusal = await #expect(throws: Fault.self) { try await rig.vms.start("n", on: "a", by: caller) }
            #expect(refusal?.code == .invalidState)
        }
    }

    @Test func `a host without guests is drained at once`() async throws {
        try await rig([]) { rig in
            let end = try await ended(try await drain(rig), rig)
            #expect(end.outcome == .drained)
            #expect(end.payload.drained?.total == 0)
        }
    }

    @Test func `R34 with nowhere to go a guest runs on, the drain says why, and can be cancelled`() async throws {
        try await rig { rig in
            _ = try await rig.hostService.setState(.maintenance, of: "b", by: caller)
            let drain = try await drain(rig)
            let open = try await progress(of: drain, rig, "it says why") { $0.guests.first?.fault != nil }
            #expect(
                open.payload.drained?.summary == "0 of 1 have left; v: No host can take it. b: The host is maintenance."
            )
            #expect(try await rig.vm().state == .running(Placement(host: rigHostA, epoch: Epoch(1))))
            let cancelled = try await rig.jobs.cancelOperation(drain.id.rawValue, by: caller)
            #expect(cancelled.outcome == .cancelledByUser)
            #expect(try await rig.vm().state.label == .running)
            #expect(try await rig.hostService.host("a").host.state == .maintenance)
            #expect(commands("stop", rig) + commands("migrat", rig) == 0)
        }
    }

    @Test func `a drain that is stuck goes on when a host takes guests again`() async throws {
        try await rig { rig in
            _ = try await rig.hostService.setState(.disabled, of: "b", by: caller)
            let drain = try await drain(rig)
            _ = try await progress(of: drain, rig, "it is stuck") { $0.guests.first?.fault != nil }
            _ = try await rig.hostService.setState(.enabled, of: "b", by: caller)
            #expect(try await ended(drain, rig).outcome == .drained)
            #expect(try await rig.vm().state.placement?.host == rigHostB)
        }
    }

    @Test func `a drain that is stuck goes on when a host is connected or room is left`() async throws {
        try await rig { rig in
            try await rig.cut(rigHostB)
            let drain = try await drain(rig)
            _ = try await progress(of: drain, rig, "it is stuck") { $0.guests.first?.fault != nil }
            try await rig.connect(rigHostB)
            #expect(try await ended(drain, rig).outcome == .drained)
        }
        try await rig(tuning: { $0.capacity.cpuRatio = Ratio(thousandths: 1000) }) { rig in
            _ = try await rig.vms.create(NewVM(name: "big", image: "tiny", cpus: 8, memory: 64), by: caller)
            _ = try await rig.start("big", on: "b")
            let drain = try await drain(rig)
            let open = try await progress(of: drain, rig, "it is stuck") { $0.guests.first?.fault != nil }
            #expect(open.payload.drained?.guests.first?.fault?.code == .noCapacity)
            _ = try await rig.vms.stop("big", StopRequest(mode: .cold), by: caller)
            #expect(try await ended(drain, rig).outcome == .drained)
        }
    }

    @Test func `asked for again, the drain is the same one, and can be allowed to stop guests`() async throws {
        try await rig { rig in
            _ = try await rig.hostService.setState(.disabled, of: "b", by: caller)
            let first = try await drain(rig)
            _ = try await progress(of: first, rig, "it is stuck") { $0.guests.first?.fault != nil }
            #expect(try await drain(rig).id == first.id)
            #expect(try await rig.vm().state.label == .running)
            #expect(try await drain(rig, stops: true).id == first.id)
            #expect(try await ended(first, rig).outcome == .drained)
            #expect(try await rig.vm().state == .stopped(.requested))
            let keyed = Caller(
                principal: Principal(name: "operator"), request: .init(key: "k", digest: "d"))
            let next = try await rig.hostService.maintain("a", stopsImmovable: false, by: keyed)
            #expect(next.id != first.id)
            _ = try await ended(next, rig)
            #expect(try await rig.hostService.maintain("a", stopsImmovable: false, by: keyed).id == next.id)
        }
    }

    @Test func `only what cannot move is stopped, by its power button`() async throws {
        try await rig(["u", "v"], tuning: { $0.capacity.cpuRatio = Ratio(thousandths: 1000) }) { rig in
            _ = try await rig.vms.create(NewVM(name: "big", image: "tiny", cpus: 7, memory: 64), by: caller)
            _ = try await rig.start("big", on: "b")
            let end = try await ended(try await drain(rig, stops: true), rig)
            #expect(end.outcome == .drained)
            let states = [try await rig.vm("u"), try await rig.vm("v")].map(\.state.label)
            #expect(Set(states) == [.running, .stopped])
            let stops = try await rig.jobs.jobs(.operation, ListQuery(filters: ["kind": "stop"])).items
            #expect(stops.map(\.payload.mode) == [.grace])
            #expect(stops.map(\.payload.timeout) == [120])
        }
    }

    @Test func `few guests move at once, though room is held for all of them`() async throws {
        let names = (0..<5).map { "v\($0)" }
        try await rig(names) { rig in
            rig.gates.close("migrate.before-command")
            let drain = try await drain(rig)
            _ = try await progress(of: drain, rig, "all are granted") { $0.guests.count { $0.stage == .moving } == 5 }
            _ = try await eventually("two are prepared") {
                commands("prepare", rig) == 2 ? true : nil
            }
            #expect(try await rig.hostService.host("b").allocated.memory == 5 * 128)
            #expect(commands("prepare", rig) == 2)
            rig.gates.open("migrate.before-command")
            #expect(try await ended(drain, rig).outcome == .drained)
            #expect(try await count(of: names, on: rigHostB, rig) == names.count)
        }
    }

    @Test(arguments: [false, true])
    func `a drain that is ended lets moves under way go on, and drops the others`(byEnabling: Bool) async throws {
        let names = (0..<5).map { "v\($0)" }
        try await rig(names) { rig in
            rig.gates.close("migrate.before-command")
            let drain = try await drain(rig)
            _ = try await eventually("two are prepared") {
                commands("prepare", rig) == 2 ? true : nil
            }
            if byEnabling {
                _ = try await rig.hostService.setState(.enabled, of: "a", by: caller)
                #expect(try await rig.jobs.operation(drain.id.rawValue).outcome == .superseded)
            } else {
                _ = try await rig.jobs.cancelOperation(drain.id.rawValue, by: caller)
            }
            _ = try await eventually("three are dropped") {
                let moves = try await rig.jobs.jobs(.operation, ListQuery(filters: ["kind": "migrate"])).items
                return moves.count { $0.outcome == .cancelledByUser } == 3 ? true : nil
            }
            rig.gates.open("migrate.before-command")
            for name in names {
                _ = try await eventually("\(name) is settled") {
                    try await rig.vm(name).operation == nil ? true : nil
                }
            }
            #expect(try await count(of: names, on: rigHostB, rig) == 2)
            #expect(try await count(of: names, on: rigHostA, rig) == 3)
            #expect(try await rig.hostService.host("a").host.state == (byEnabling ? .enabled : .maintenance))
            #expect(try await rig.hostService.host("b").allocated.memory == 2 * 128)
        }
    }

    @Test func `a drain that is ended while the server is down drops the moves that had not begun`() async throws {
        let names = (0..<5).map { "v\($0)" }
        let rig = try await Rig()
        let engine = rig.startEngine()
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        for guest in names { _ = try await rig.runningVM(guest) }
        rig.gates.close("migrate.before-command")
        let drain = try await drain(rig)
        _ = try await eventually("two are prepared") { commands("prepare", rig) == 2 ? true : nil }
        engine.cancel()
        rig.gates.open("migrate.before-command")
        _ = await engine.result
        _ = try await rig.jobs.cancelOperation(drain.id.rawValue, by: caller)
        try await rig.forgetSessions()
        for host in [rigHostA, rigHostB] { rig.hosts.change(host) { $0.isConnected = false } }
        let successor = rig.startEngine()
        defer { successor.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        for name in names {
            _ = try await eventually("\(name) is settled") { try await rig.vm(name).operation == nil ? true : nil }
        }
        #expect(try await count(of: names, on: rigHostB, rig) == 2)
        #expect(try await count(of: names, on: rigHostA, rig) == 3)
    }

    @Test func `a move that fails is tried again, after a while`() async throws {
        try await rig { rig in
            let failures = Mutex(2)
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                return failures.withLock { left in
                    guard left > 0 else { return .deliver }
                    left -= 1
                    return .fail(Fault(.unavailable, .commandFailed, "libvirt refused"))
                }
            }
            let end = try await ended(try await drain(rig), rig)
            #expect(end.outcome == .drained)
            #expect(try await rig.vm().state == .running(Placement(host: rigHostB, epoch: Epoch(4))))
        }
    }

    @Test func `a move that failed waits its time, and says how it failed`() async throws {
        let slowly = Backoff(base: .seconds(600), cap: .seconds(600))
        try await rig(tuning: { $0.retry = slowly }) { rig in
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                return .fail(Fault(.unavailable, .commandFailed, "libvirt refused"))
            }
            let drain = try await drain(rig)
            let open = try await progress(of: drain, rig, "it failed") { $0.guests.first?.failures == 1 }
            #expect(open.payload.drained?.summary == "0 of 1 have left; v: libvirt refused")
            _ = try await rig.runningVM("other", on: "b")
            _ = try await ended(try await rig.vms.stop("other", StopRequest(mode: .cold), by: caller), rig)
            #expect(commands("A migrate", rig) == 0)
            #expect(commands("prepare", rig) == 1)
        }
    }

    @Test func `what fails to move again and again is stopped, if that is wanted`() async throws {
        try await rig { rig in
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                return .fail(Fault(.unavailable, .commandFailed, "libvirt refused"))
            }
            let end = try await ended(try await drain(rig, stops: true), rig)
            #expect(end.outcome == .drained)
            #expect(try await rig.vm().state == .stopped(.requested))
            #expect(commands("prepare", rig) == 3)
        }
    }

    @Test func `a guest whose move somebody cancelled is left alone`() async throws {
        try await rig { rig in
            rig.gates.close("migrate.before-prepare")
            let drain = try await drain(rig)
            let granted = try await progress(of: drain, rig, "it is granted") { $0.guests.first?.work != nil }
            let move = try #require(granted.payload.drained?.guests.first?.work)
            _ = try await rig.jobs.cancelOperation(move.rawValue, by: caller)
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                return .fail(Fault(.unavailable, .commandFailed, "aborted"))
            }
            rig.gates.open("migrate.before-prepare")
            let open = try await progress(of: drain, rig, "it is left alone") { $0.guests.first?.isLeftAlone == true }
            #expect(open.payload.drained?.summary.contains("Its move was cancelled") == true)
            #expect(try await rig.vm().state.label == .running)
            _ = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
            #expect(try await ended(drain, rig).outcome == .drained)
        }
    }

    @Test func `a busy guest is waited for, one that ends needs nothing, and one that is lost is not touched`()
        async throws
    {
        try await rig(["busy", "off", "lost"]) { rig in
            rig.hosts.decideFate { command in
                guard case .control = command else { return .deliver }
                return .slow
            }
            let control = try await rig.vms.control("busy", .reboot, by: caller)
            _ = try await ended(try await rig.vms.stop("off", StopRequest(mode: .cold), by: caller), rig)
            let drain = try await drain(rig)
            let open = try await progress(of: drain, rig, "one has left") { $0.guests.map(\.name) == ["busy"] }
            #expect(open.payload.drained?.guests.first?.fault != nil)
            rig.hosts.runSlow(on: rigHostA)
            _ = try await ended(control, rig)
            #expect(try await ended(drain, rig).outcome == .drained)
            #expect(try await rig.vm("busy").state.placement?.host == rigHostB)
            #expect(try await rig.vm("off").state.label == .stopped)
        }
    }

    @Test func `a drain of a host that is cut off waits for it, also if it may stop guests`() async throws {
        try await rig { rig in
            try await rig.cut(rigHostA)
            let drain = try await drain(rig, stops: true)
            let open = try await progress(of: drain, rig, "it waits") { $0.guests.first?.fault != nil }
            #expect(open.payload.drained?.guests.first?.fault?.code == .placementUnresolved)
            try await rig.connect(rigHostA)
            #expect(try await ended(drain, rig).outcome == .drained)
            #expect(try await rig.vm().state.placement?.host == rigHostB)
            #expect(commands("stop", rig) == 0)
        }
    }

    @Test func `no guest is stopped because the host that could take it is away`() async throws {
        try await rig { rig in
            try await rig.cut(rigHostB)
            let drain = try await drain(rig, stops: true)
            _ = try await progress(of: drain, rig, "it waits") { $0.guests.first?.fault != nil }
            #expect(try await rig.vm().state.label == .running)
            try await rig.connect(rigHostB)
            #expect(try await ended(drain, rig).outcome == .drained)
            #expect(try await rig.vm().state.placement?.host == rigHostB)
            #expect(commands("stop", rig) == 0)
        }
    }

    @Test func `a host that is fenced is drained`() async throws {
        try await rig { rig in
            try await rig.cut(rigHostA)
            let drain = try await drain(rig)
            _ = try await progress(of: drain, rig, "it waits") { $0.guests.first?.fault != nil }
            _ = try await rig.hostService.fence("a", proof: "It burnt.", by: caller)
            #expect(try await ended(drain, rig).outcome == .drained)
            #expect(try await rig.vm().state.label == .stopped)
        }
    }

    @Test func `a drain beside starts never overfills a host`() async throws {
        let guests = (0..<6).map { "g\($0)" }
        try await rig([], tuning: { $0.capacity.cpuRatio = Ratio(thousandths: 1000) }) { rig in
            for name in guests {
                _ = try await rig.vms.create(NewVM(name: name, image: "tiny", cpus: 1, memory: 64), by: caller)
                _ = try await rig.start(name, on: "a")
            }
            let starters = (0..<6).map { "s\($0)" }
            for name in starters {
                _ = try await rig.vms.create(NewVM(name: name, image: "tiny", cpus: 1, memory: 64), by: caller)
            }
            async let started = rig.startAll(starters, refusedWith: [.noCapacity, .invalidState])
            async let accepted = rig.hostService.maintain("a", stopsImmovable: false, by: caller)
            let drain = try await accepted
            _ = try await started
            for _ in 0..<50 {
                let cpus = try await rig.hostService.host("b").allocated.cpus
                #expect(cpus <= 8)
                try await Task.sleep(for: .milliseconds(2))
            }
            _ = try await eventually("what is left has no room") {
                let now = try await rig.jobs.operation(drain.id.rawValue)
                let isFull = try await rig.hostService.host("b").allocated.cpus == 8
                let codes = now.payload.drained?.guests.map { $0.fault?.code }
                return isFull && codes?.allSatisfy { $0 == .noCapacity } == true ? true : nil
            }
        }
    }

    @Test func `a plan changes nothing`() async throws {
        try await rig(["u", "v"]) { rig in
            let plan = try await rig.hostService.drainPlan(of: "a")
            #expect(plan.plan.items.map(\.vm.name) == ["u", "v"])
            for item in plan.plan.items {
                guard case .moves(let target) = item.verdict else {
                    Issue.record("\(item.verdict)")
                    continue
                }
                #expect(target.id == rigHostB)
            }
            #expect(try await rig.hostService.host("a").host.state == .enabled)
            #expect(try await rig.vm("u").epoch == Epoch(1))
            #expect(try await rig.jobs.jobs(.operation, ListQuery(filters: ["kind": "maintain"])).items.isEmpty)
        }
    }
}
