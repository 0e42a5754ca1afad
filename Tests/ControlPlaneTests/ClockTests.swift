import ControlPlane
import Domain
import Platform
import Synchronization
import Testing

/// A node whose wall clock is days away from that of the database, which dates the rows.
@Suite struct ClockTests {
    private let caller = Rig.operatorCaller

    private struct WrongClock: TimeSource {
        let offset: Duration
        private let system = SystemTime()

        init(_ offset: Duration) { self.offset = offset }

        func wall() -> Timestamp { system.wall().adding(offset) }
        func monotonic() -> Duration { system.monotonic() }
        func sleep(for duration: Duration) async throws { try await system.sleep(for: duration) }
    }

    private func context(_ rig: Rig, _ offset: Duration) -> Context {
        let old = rig.context
        return Context(
            database: old.database, sessions: old.sessions, time: WrongClock(offset), ids: old.ids, random: old.random,
            faults: old.faults, feed: old.feed, settings: old.settings, logger: old.logger)
    }

    /// Runs `body` with an engine whose node's clock is wrong, and a VM that runs on host A.
    private func run(_ offset: Duration, late: Duration = .seconds(60), _ body: (Rig) async throws -> Void) async throws
    {
        let rig = try await Rig { $0.resendLimit = late }
        let engine = Task { [context = context(rig, offset)] in try await JobEngine(context).run() }
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        _ = try await rig.runningVM()
        try await body(rig)
    }

    /// The first command of this kind never reaches its agent, and nobody knows.
    private func loseFirst(_ label: String, _ rig: Rig) {
        let isLeft = Mutex(true)
        rig.hosts.decideFate { command in
            let isLost =
                command.label == label
                && isLeft.withLock { isLeft in
                    defer { isLeft = false }
                    return isLeft
                }
            return isLost ? .loseCommand : .deliver
        }
    }

    @Test func `a node in tomorrow sends a stop again that was just lost`() async throws {
        try await run(.seconds(86400)) { rig in
            loseFirst("stop", rig)
            let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
            let end = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
            #expect(end.outcome == .stopped)
            #expect(try await rig.vm().state.label == .stopped)
        }
    }

    @Test func `a node in tomorrow sends a move again that was just lost`() async throws {
        try await run(.seconds(86400)) { rig in
            loseFirst("prepare-migration", rig)
            let move = try await rig.vms.migrate("v", MigrateRequest(host: "b"), by: caller)
            let end = try await rig.jobs.wait(for: move.id.rawValue, atMost: .seconds(60))
            #expect(end.outcome == .migrated)
        }
    }

    @Test func `a node in the day before yesterday gives up a stop that was lost and is late`() async throws {
        try await run(.seconds(-2 * 86400), late: .milliseconds(1)) { rig in
            loseFirst("stop", rig)
            let stop = try await rig.vms.stop("v", StopRequest(mode: .cold, timeout: 0), by: caller)
            let end = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
            #expect(end.fault?.code == .hostUnreachable)
            #expect(try await rig.vm().state.label == .running)
        }
    }
}
