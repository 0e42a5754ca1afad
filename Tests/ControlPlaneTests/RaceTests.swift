import ControlPlane
import Domain
import Testing

/// Races that other systems lost, on the whole control plane.
@Suite struct RaceTests {
    private let caller = Rig.operatorCaller

    private func withRig(
        tuning tune: (inout ControlSettings) -> Void = { _ in }, _ body: (Rig) async throws -> Void
    ) async throws {
        let rig = try await Rig(tuning: tune)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        try await body(rig)
    }

    private func ended(_ operation: Job, _ rig: Rig) async throws -> Job {
        try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
    }

    private func code(_ body: () async throws -> Job) async throws -> FaultCode? {
        do { _ = try await body() } catch let fault as Fault { return fault.code }
        return nil
    }

    // MARK: R12

    @Test func `R12 a stop held on its way meets the next start's domain, and is superseded`() async throws {
        try await withRig { rig in
            let vm = try await rig.runningVM()
            let gates = rig.gates
            gates.close("held-stop")
            rig.hosts.decideFate { command in
                if case .stop(let stop) = command, stop.mode == .grace { await gates.reach("held-stop") }
                return .deliver
            }
            let weak = try await rig.vms.stop("v", StopRequest(mode: .grace), by: caller)
            _ = try await eventually("the stop is on its way") { gates.isHolding("held-stop") ? true : nil }
            let strong = try await rig.vms.stop("v", StopRequest(mode: .force), by: caller)
            #expect(try await ended(strong, rig).outcome == .stopped)
            #expect(try await rig.start(on: "a").state == .running(Placement(host: rigHostA, epoch: Epoch(2))))
            gates.open("held-stop")
            _ = try await eventually("the first stop has come") {
                rig.hosts.log.filter { $0 == "A stop 1" }.count == 2 ? true : nil
            }
            #expect(try await ended(weak, rig).outcome == .superseded)
            #expect(rig.hosts.host(rigHostA).domains == [vm.id: Epoch(2)])
            #expect(try await rig.vm().state == .running(Placement(host: rigHostA, epoch: Epoch(2))))
        }
    }

    // MARK: R21

    @Test func `R21 the source is cut off, the move is cancelled, and the guest arrives all the same: one domain`()
        async throws
    {
        try await withRig { rig in
            let vm = try await rig.runningVM()
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                try? await rig.cut(rigHostA)
                return .loseAnswer
            }
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            _ = try await eventually("it waits for the source") {
                try await rig.vm().state.waitingHost == rigHostA ? true : nil
            }
            _ = try await rig.jobs.cancelOperation(move.id.rawValue, by: caller)
            rig.hosts.change(rigHostA) { $0.domains = [:] }
            rig.hosts.change(rigHostB) {
                $0.domains[vm.id] = Epoch(2)
                $0.awaited[vm.id] = nil
            }
            try await rig.sessions.received(
                rig.hosts.inventory(rigHostB), from: rigHostB, session: rig.hosts.host(rigHostB).session)
            #expect(try await rig.vm().state.label == .migrating)
            rig.hosts.decideFate { _ in .deliver }
            try await rig.connect(rigHostA)
            _ = try await ended(move, rig)
            #expect(try await rig.vm().state == .running(Placement(host: rigHostB, epoch: Epoch(2))))
            #expect(rig.hosts.host(rigHostA).domains.isEmpty)
            #expect(rig.hosts.host(rigHostB).domains == [vm.id: Epoch(2)])
            #expect(!rig.hosts.log.contains { $0.hasPrefix("B stop") })
            #expect(try await rig.vms.vm("v").conflicts.isEmpty)
        }
    }

    // MARK: R35

    /// B has room for two more of 128 MiB.
    private func withRoomForTwo(_ body: (Rig) async throws -> Void) async throws {
        try await withRig {
            $0.capacity = CapacityPolicy(memoryReserve: 8192 - 512)
        } _: { rig in
            for name in ["x", "y"] { _ = try await rig.runningVM(name, on: "b") }
            for name in ["v", "w", "u"] { _ = try await rig.runningVM(name) }
            try await body(rig)
        }
    }

    private func allocated(_ rig: Rig) async throws -> [Int] {
        try await rig.database.read { tx in
            [try tx.allocated(on: rigHostA).memory, try tx.allocated(on: rigHostB).memory]
        }
    }

    private func migrate(_ name: String, to host: String?, _ rig: Rig) async throws -> Job {
        try await rig.vms.migrate(name, MigrateRequest(host: host), by: caller)
    }

    @Test(arguments: [false, true])
    func `R35 two slow moves fill a host: a third is refused, and the count stays exact`(
        oneFails: Bool
    ) async throws {
        try await withRoomForTwo { rig in
            rig.gates.close("migrate.before-command")
            let moves = [try await migrate("v", to: "b", rig), try await migrate("w", to: "b", rig)]
            _ = try await eventually("both are prepared") {
                rig.hosts.log.filter { $0.hasPrefix("B prepare-migration") }.count == 2 ? true : nil
            }
            for host in [rigHostB, rigHostA, rigHostB] {
                #expect(try await allocated(rig) == [384, 512])
                #expect(try await code { try await migrate("u", to: "b", rig) } == .noCapacity)
                #expect(try await code { try await migrate("u", to: nil, rig) } == .noCapacity)
                // A list, and then a new session with its hello: the room is counted anew from the records.
                try await rig.sessions.received(
                    rig.hosts.inventory(host), from: host, session: rig.hosts.host(host).session)
                try await rig.connect(host)
            }
            let w = try await rig.vm("w").id
            rig.hosts.decideFate { command in
                guard oneFails, case .migrate = command, command.vm == w else { return .deliver }
                return .fail(Fault(.unavailable, .commandFailed, "libvirt refused"))
            }
            rig.gates.open("migrate.before-command")
            #expect(try await ended(moves[0], rig).outcome == .migrated)
            #expect(try await ended(moves[1], rig).outcome == (oneFails ? .failed : .migrated))
            #expect(try await allocated(rig) == (oneFails ? [256, 384] : [128, 512]))
            guard !oneFails else {
                #expect(try await ended(try await migrate("u", to: "b", rig), rig).outcome == .migrated)
                return
            }
            #expect(try await code { try await migrate("u", to: "b", rig) } == .noCapacity)
            _ = try await ended(try await rig.vms.stop("x", StopRequest(mode: .cold), by: caller), rig)
            #expect(try await ended(try await migrate("u", to: "b", rig), rig).outcome == .migrated)
            #expect(try await allocated(rig) == [0, 512])
        }
    }

    @Test func `R35 moves that are asked for at once take no more room than there is`() async throws {
        try await withRoomForTwo { rig in
            rig.gates.close("migrate.before-command")
            let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
                for name in ["v", "w", "u"] {
                    group.addTask { try await code { try await migrate(name, to: "b", rig) } == nil ? 1 : 0 }
                }
                return try await group.reduce(0, +)
            }
            #expect(accepted == 2)
            #expect(try await allocated(rig) == [384, 512])
            rig.gates.open("migrate.before-command")
            _ = try await eventually("both have arrived") {
                let room = try await allocated(rig)
                return room == [128, 512] && rig.hosts.host(rigHostB).domains.count == 4 ? true : nil
            }
        }
    }

    // MARK: R37

    enum Wish: CaseIterable { case stop, destroy, stopLater }
    /// When the guest's own end becomes known.
    enum Telling: CaseIterable { case whileAccepted, never }

    /// The agent gives back what the VM held when the command comes, so it has to come even if there is nothing to end.
    @Test(arguments: Wish.allCases, Telling.allCases)
    func `R37 the guest powers itself off, and a wish to end it still reaches its host and succeeds`(
        wish: Wish, telling: Telling
    ) async throws {
        try await withRig { rig in
            let vm = try await rig.runningVM()
            let gate = ["stop.before-command", "destroy.before-command", "gc-stop.before-command"]
            for name in gate { rig.gates.close(name) }
            if wish == .stopLater { try await rig.cut(rigHostA) }
            let operation =
                switch wish {
                case .stop: try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
                case .stopLater:
                    try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
                case .destroy: try await rig.vms.destroy("v", isDeferrable: false, by: caller)
                }
            if wish == .stopLater { try await rig.connect(rigHostA) }
            _ = try await eventually("it is held") { gate.contains { rig.gates.isHolding($0) } ? true : nil }
            rig.hosts.change(rigHostA) { $0.domains = [:] }
            if telling == .whileAccepted {
                let gone = DomainChange(vm: vm.id, epoch: Epoch(1), state: .gone(.guestShutdown), sequence: 99)
                try await rig.sessions.received(gone, from: rigHostA, session: rig.hosts.host(rigHostA).session)
            }
            for name in gate { rig.gates.open(name) }
            let end = wish == .stopLater ? try await rig.endedGCJob() : try await ended(operation, rig)
            #expect(end.outcome == (wish == .destroy ? .destroyed : .notFound))
            let last = try await rig.vms.vm(vm.id.rawValue).vm
            #expect(last.state.label == (wish == .destroy ? .destroyed : .stopped))
            #expect(last.operation == nil)
            #expect(rig.hosts.log == ["A start 1", wish == .destroy ? "A destroy 1" : "A stop 1"])
            #expect(rig.hosts.host(rigHostA).closed[vm.id] == Epoch(1))
        }
    }
}
