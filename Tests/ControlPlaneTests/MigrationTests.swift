import ControlPlane
import Domain
import Synchronization
import Testing

@Suite struct MigrationTests {
    private let caller = Rig.operatorCaller
    private let source = Placement(host: rigHostA, epoch: Epoch(1))
    private let destination = Placement(host: rigHostB, epoch: Epoch(2))

    private func rigWithEngine(
        _ body: (Rig) async throws -> Void
    ) async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
        try await body(rig)
    }

    private func ended(_ operation: Job, _ rig: Rig) async throws -> Job {
        try await rig.jobs.wait(for: operation.id.rawValue, atMost: .seconds(60))
    }

    private func allocated(_ host: HostID, _ rig: Rig) async throws -> Int {
        try await rig.database.read { tx in try tx.allocated(on: host).memory }
    }

    @Test func `a live guest goes on at the other host, with a new epoch`() async throws {
        try await rigWithEngine { rig in
            let end = try await ended(try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller), rig)
            #expect(end.outcome == .migrated)
            let vm = try await rig.vm()
            #expect(vm.state == .running(destination))
            #expect(vm.epoch == Epoch(2))
            #expect(vm.operation == nil)
            #expect(try await rig.endedGCJob(isRelease: true).outcome == .released)
            #expect(rig.hosts.log.suffix(3) == ["B prepare-migration 2", "A migrate 1", "A release 1"])
            #expect(rig.hosts.host(rigHostA).domains.isEmpty)
            #expect(try await allocated(rigHostA, rig) == 0)
            #expect(try await allocated(rigHostB, rig) == 128)
        }
    }

    @Test func `a paused guest arrives paused`() async throws {
        try await rigWithEngine { rig in
            _ = try await ended(try await rig.vms.control("v", .pause, by: caller), rig)
            let end = try await ended(try await rig.vms.migrate("v", MigrateRequest(), by: caller), rig)
            #expect(end.outcome == .migrated)
            #expect(try await rig.vm().state == .paused(destination))
        }
    }

    @Test(arguments: [false, true])
    func `a guest whose arrival its source told nobody of goes on by the server's word, and a paused one stays paused`(
        isPaused: Bool
    ) async throws {
        try await rigWithEngine { rig in
            if isPaused { _ = try await ended(try await rig.vms.control("v", .pause, by: caller), rig) }
            rig.hosts.decideArrivals(.untold)
            let end = try await ended(try await rig.vms.migrate("v", MigrateRequest(), by: caller), rig)
            #expect(end.outcome == .migrated)
            #expect(try await rig.vm().state == (isPaused ? .paused(destination) : .running(destination)))
            #expect(rig.hosts.log.filter { $0.contains("complete") } == ["B complete-migration 2"])
        }
    }

    @Test func `a guest that goes on at the source, because libvirt did not hear of its arrival, goes on nowhere else`()
        async throws
    {
        try await rigWithEngine { rig in
            rig.hosts.decideArrivals(.unheard)
            let end = try await ended(try await rig.vms.migrate("v", MigrateRequest(), by: caller), rig)
            #expect(end.outcome == .failed)
            #expect(try await rig.vm().state == .running(source))
            #expect(!rig.hosts.log.contains { $0.contains("complete") })
            #expect(rig.hosts.host(rigHostB).domains.isEmpty)
        }
    }

    @Test func `a guest that waits at a destination that is lost goes on once that answers`() async throws {
        try await rigWithEngine { rig in
            rig.hosts.decideArrivals(.untold)
            rig.hosts.decideFate { command in
                guard case .completeMigration = command else { return .deliver }
                try? await rig.cut(rigHostB)
                return .loseCommand
            }
            let move = try await rig.vms.migrate("v", MigrateRequest(), by: caller)
            let lost = try await eventually("it waits for the destination") {
                let vm = try await rig.vm()
                return vm.state.waiting != nil && vm.state.waitingHost == rigHostB ? vm : nil
            }
            #expect(lost.state.label == .migrating)
            #expect(rig.hosts.host(rigHostB).paused[lost.id] == Epoch(2))
            rig.hosts.decideFate { _ in .deliver }
            try await rig.connect(rigHostB)
            #expect(try await ended(move, rig).outcome == .migrated)
            #expect(try await rig.vm().state == .running(destination))
            #expect(rig.hosts.host(rigHostB).paused[lost.id] == nil)
        }
    }

    @Test func `a guest that ended while it waited at the destination is gone`() async throws {
        try await rigWithEngine { rig in
            rig.hosts.decideArrivals(.untold)
            rig.hosts.decideFate { command in
                if case .completeMigration = command { rig.hosts.change(rigHostB) { $0.domains = [:] } }
                return .deliver
            }
            let move = try await rig.vms.migrate("v", MigrateRequest(), by: caller)
            #expect(try await ended(move, rig).outcome == .failed)
            #expect(try await rig.vm().state == .stopped(.foundGone))
        }
    }

    @Test func `both ends are held while it moves, and nothing else may be done with the VM`() async throws {
        try await rigWithEngine { rig in
            rig.gates.close("migrate.before-command")
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            _ = try await eventually("it is prepared") { rig.gates.isHolding("migrate.before-command") ? true : nil }
            #expect(try await rig.vm().state == .migrating(Move(source: source, destination: destination)))
            #expect(try await allocated(rigHostA, rig) == 128)
            #expect(try await allocated(rigHostB, rig) == 128)
            for attempt in [
                { try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller) },
                { try await rig.vms.stop("v", StopRequest(mode: .force), by: caller) },
                { try await rig.vms.destroy("v", isDeferrable: false, by: caller) },
                { try await rig.vms.start("v", on: nil, by: caller) },
                { try await rig.vms.control("v", .pause, by: caller) },
            ] {
                let fault = try await #require(throws: Fault.self) { _ = try await attempt() }
                #expect(fault.code == .operationInProgress)
                #expect(fault.message.contains(move.id.rawValue))
            }
            rig.gates.open("migrate.before-command")
            #expect(try await ended(move, rig).outcome == .migrated)
        }
    }

    @Test func `what cannot be moved, or not there, is refused with a reason`() async throws {
        try await rigWithEngine { rig in
            func fault(_ request: MigrateRequest) async throws -> Fault {
                try await #require(throws: Fault.self) { _ = try await rig.vms.migrate("v", request, by: caller) }
            }
            #expect(try await fault(MigrateRequest(host: "a")).code == .invalidState)
            #expect(try await fault(MigrateRequest(host: "c")).code == .notFound)
            var quick = MigrateRequest()
            quick.options.timeout = 0
            #expect(try await fault(quick).field == "timeout")
            var cold = MigrateRequest(isLive: false)
            cold.options.autoConverges = true
            #expect(try await fault(cold).field == "autoConverge")
            _ = try await rig.hostService.setState(.disabled, of: "b", by: caller)
            #expect(try await fault(MigrateRequest(host: "b")).code == .invalidState)
            #expect(try await fault(MigrateRequest()).code == .noCapacity)
            _ = try await rig.hostService.setState(.enabled, of: "b", by: caller)
            try await rig.cut(rigHostB)
            #expect(try await fault(MigrateRequest(host: "b")).code == .hostUnreachable)
            try await rig.connect(rigHostB)
            _ = try await ended(try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller), rig)
            #expect(try await fault(MigrateRequest(host: "b")).code == .invalidState)
            #expect(try await rig.vm().epoch == Epoch(1))
        }
    }

    @Test func `a move that fails leaves the guest where it is, and nothing at the destination`() async throws {
        try await rigWithEngine { rig in
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                return .fail(Fault(.unavailable, .commandFailed, "libvirt refused: the CPUs differ"))
            }
            let end = try await ended(try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller), rig)
            #expect(end.fault?.message == "libvirt refused: the CPUs differ")
            let vm = try await rig.vm()
            #expect(vm.state == .running(source))
            #expect(vm.epoch == Epoch(2))
            #expect(rig.hosts.host(rigHostB).closed[vm.id] == Epoch(2))
            #expect(rig.hosts.host(rigHostB).awaited.isEmpty)
            #expect(try await allocated(rigHostB, rig) == 0)
            // The epoch that was granted is never used again.
            rig.hosts.decideFate { _ in .deliver }
            _ = try await ended(try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller), rig)
            #expect(try await rig.vm().state == .running(Placement(host: rigHostB, epoch: Epoch(3))))
        }
    }

    @Test func `what was prepared at a destination that is lost is ended by a GC job`() async throws {
        try await rigWithEngine { rig in
            rig.hosts.decideFate { command in
                if case .migrate = command {
                    try? await rig.cut(rigHostB)
                    return .fail(Fault(.unavailable, .commandFailed, "the connection broke"))
                }
                return .deliver
            }
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            #expect(try await ended(move, rig).outcome == .failed)
            #expect(try await rig.vm().state == .running(source))
            let left = try await rig.gcJobs()
            #expect(Set(left.map(\.kind)) == [.stopVM, .releasePlacement])
            #expect(left.allSatisfy { $0.placement == destination })
            try await rig.connect(rigHostB)
            #expect(try await rig.endedGCJob().outcome == .superseded)
            #expect(rig.hosts.host(rigHostB).awaited.isEmpty)
            #expect(try await rig.vm().state == .running(source))
        }
    }

    @Test(arguments: ["prepare-migration", "migrate"])
    func `a lost answer is asked for again, and the guest moves once`(command lost: String) async throws {
        try await rigWithEngine { rig in
            let losses = Losses(of: lost, count: 2)
            rig.hosts.decideFate { losses.fate(of: $0) }
            let end = try await ended(try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller), rig)
            #expect(end.outcome == .migrated)
            #expect(try await rig.vm().state == .running(destination))
            #expect(rig.hosts.log.filter { $0 == "A migrate 1" }.count == 1)
        }
    }

    /// R19: until both hosts answer nobody knows where the guest is, and nothing starts it a second time.
    @Test func `R19 a source that is lost on the way leaves the move unresolved until it answers`() async throws {
        try await rigWithEngine { rig in
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                try? await rig.cut(rigHostA)
                return .loseAnswer
            }
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            let lost = try await eventually("it waits for the source") {
                let vm = try await rig.vm()
                return vm.state.waiting != nil && vm.state.waitingHost == rigHostA ? vm : nil
            }
            #expect(lost.state.label == .migrating)
            // libvirt brings it to its end all the same.
            rig.hosts.change(rigHostA) { $0.domains = [:] }
            rig.hosts.change(rigHostB) { $0.domains[lost.id] = Epoch(2) }
            try await rig.connect(rigHostB)
            #expect(try await rig.vm().state.label == .migrating)
            let fault = try await #require(throws: Fault.self) {
                _ = try await rig.vms.start("v", on: "b", by: caller)
            }
            #expect(fault.code == .placementUnresolved)
            rig.hosts.decideFate { _ in .deliver }
            try await rig.connect(rigHostA)
            _ = try await ended(move, rig)
            #expect(try await rig.vm().state == .running(destination))
            #expect(rig.hosts.host(rigHostB).domains == [lost.id: Epoch(2)])
        }
    }

    /// R05: order of the reports, whichever it is, never makes a moving VM anything else.
    @Test func `R05 reports of both ends change nothing while it moves`() async throws {
        try await rigWithEngine { rig in
            rig.gates.close("migrate.before-write")
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            _ = try await eventually("it has arrived") { rig.gates.isHolding("migrate.before-write") ? true : nil }
            let moving = try await rig.vm()
            for host in [rigHostB, rigHostA, rigHostB] {
                try await rig.sessions.received(
                    rig.hosts.inventory(host), from: host, session: rig.hosts.host(host).session)
                #expect(try await rig.vm().state == moving.state)
                #expect(try await rig.vms.vm("v").conflicts.isEmpty)
            }
            rig.gates.open("migrate.before-write")
            #expect(try await ended(move, rig).outcome == .migrated)
            // The source's own late word about its copy is about a placement that is over.
            try await rig.sessions.received(
                DomainChange(vm: moving.id, epoch: Epoch(1), state: .gone(.movedAway), sequence: 1_000), from: rigHostA,
                session: rig.hosts.host(rigHostA).session)
            #expect(try await rig.vm().state == .running(destination))
        }
    }

    @Test func `a cancelled move leaves the guest where it is`() async throws {
        try await rigWithEngine { rig in
            rig.gates.close("migrate.before-prepare")
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            _ = try await eventually("it begins") { rig.gates.isHolding("migrate.before-prepare") ? true : nil }
            let cancelled = try await rig.jobs.cancelOperation(move.id.rawValue, by: caller)
            #expect(cancelled.payload.isCancelRequested == true)
            rig.hosts.decideFate { command in
                switch command {
                case .migrate: .fail(Fault(.unavailable, .commandFailed, "operation aborted"))
                default: .deliver
                }
            }
            rig.gates.open("migrate.before-prepare")
            #expect(try await ended(move, rig).outcome == .cancelledByUser)
            #expect(try await rig.vm().state == .running(source))
            #expect(rig.hosts.host(rigHostB).awaited.isEmpty)
        }
    }

    @Test func `a move without its guest alive ends in one start at the destination`() async throws {
        try await rigWithEngine { rig in
            let end = try await ended(
                try await rig.vms.migrate("v", MigrateRequest(host: "b", isLive: false), by: caller), rig)
            #expect(end.outcome == .migrated)
            #expect(try await rig.vm().state == .running(destination))
            #expect(rig.hosts.log.suffix(2) == ["A stop 1", "B start 2"])
            #expect(try await allocated(rigHostA, rig) == 0)
        }
    }

    @Test(arguments: [rigHostA, rigHostB])
    func `a fence of one end asks the other`(fenced: HostID) async throws {
        try await rigWithEngine { rig in
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                try? await rig.cut(fenced)
                return .loseCommand
            }
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            let vm = try await eventually("it waits") {
                let vm = try await rig.vm()
                return vm.state.waiting != nil ? vm : nil
            }
            rig.hosts.change(fenced) { $0.domains = [:] }
            let name = fenced == rigHostA ? "a" : "b"
            _ = try await rig.hostService.fence(name, proof: "the plug is out", by: caller)
            #expect(try await ended(move, rig).outcome == .failed)
            // Nothing arrived: with A off the guest is gone, with B off it goes on.
            let settled = try await rig.vm()
            #expect(settled.state == (fenced == rigHostA ? .stopped(.foundGone) : .running(source)))
            #expect(settled.operation == nil)
            #expect(try await rig.gcJobs().map(\.host) == [fenced])
            #expect(vm.id == settled.id)
        }
    }

    @Test func `a host that a VM moves from or to is not deleted`() async throws {
        try await rigWithEngine { rig in
            rig.gates.close("migrate.before-command")
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            for host in ["a", "b"] {
                let fault = try await #require(throws: Fault.self) {
                    _ = try await rig.hostService.delete(host, isForced: true, by: caller)
                }
                #expect(fault.code == .hostInUse)
            }
            rig.gates.open("migrate.before-command")
            #expect(try await ended(move, rig).outcome == .migrated)
        }
    }
}

/// Loses the first answers to one kind of command.
private final class Losses: Sendable {
    private let kind: String
    private let left: Mutex<Int>

    init(of kind: String, count: Int) {
        self.kind = kind
        left = Mutex(count)
    }

    func fate(of command: HostCommand) -> SimpleHosts.Fate {
        guard command.label == kind else { return .deliver }
        return left.withLock { left in
            left -= 1
            return left >= 0 ? .loseAnswer : .deliver
        }
    }
}
