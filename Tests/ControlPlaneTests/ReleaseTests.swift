import ControlPlane
import Domain
import Testing

/// What a VM leaves on a host where it is not any more.
@Suite struct ReleaseTests {
    private let caller = Rig.operatorCaller
    private let beforeCommand = "gc-release.before-command"

    /// VM `v` runs on A, and B is there too.
    private func withRig(_ body: (Rig) async throws -> Void) async throws {
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

    private func move(to host: String, _ rig: Rig) async throws -> Job {
        try await ended(try await rig.vms.migrate("v", MigrateRequest(host: host), by: caller), rig)
    }

    private func hostsWithLog(_ rig: Rig) -> [HostID] {
        [rigHostA, rigHostB].filter { !rig.hosts.host($0).logs.isEmpty }
    }

    @Test func `a move leaves nothing on the host that it left`() async throws {
        try await withRig { rig in
            #expect(try await move(to: "b", rig).outcome == .migrated)
            let job = try await rig.endedGCJob(isRelease: true)
            #expect((job.kind, job.host, job.epoch) == (.releasePlacement, rigHostA, Epoch(1)))
            #expect(job.outcome == .released)
            #expect(hostsWithLog(rig) == [rigHostB])
        }
    }

    @Test func `a move that does not come about leaves nothing where it was to lead`() async throws {
        try await withRig { rig in
            rig.hosts.decideFate { command in
                guard case .migrate = command else { return .deliver }
                return .fail(Fault(.unavailable, .commandFailed, "libvirt refused"))
            }
            #expect(
                try await move(to: "b", rig).state
                    == .ended(.failed(Fault(.unavailable, .commandFailed, "libvirt refused"))))
            let job = try await rig.endedGCJob(isRelease: true)
            #expect((job.kind, job.host, job.epoch) == (.releasePlacement, rigHostB, Epoch(2)))
            #expect(hostsWithLog(rig) == [rigHostA])
        }
    }

    @Test func `a start elsewhere leaves nothing where the VM was, also when that host comes back later`() async throws
    {
        try await withRig { rig in
            _ = try await ended(try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller), rig)
            try await rig.cut(rigHostA)
            let vm = try await rig.start(on: "b")
            let job = try #require(try await rig.gcJobs().first)
            #expect((job.kind, job.host, job.epoch) == (.releasePlacement, rigHostA, Epoch(1)))
            #expect(try await rig.jobs.explain(job.id.rawValue).doing.contains("console log"))
            #expect(hostsWithLog(rig) == [rigHostA, rigHostB])
            try await rig.connect(rigHostA)
            _ = try await rig.endedGCJob(isRelease: true)
            #expect(hostsWithLog(rig) == [rigHostB])
            #expect(rig.hosts.host(rigHostB).domains == [vm.id: Epoch(2)])
        }
    }

    @Test func `a VM that is back by then keeps what it has there`() async throws {
        try await withRig { rig in
            rig.gates.close(beforeCommand)
            #expect(try await move(to: "b", rig).outcome == .migrated)
            _ = try await eventually("it is to be released") { rig.gates.isHolding(beforeCommand) ? true : nil }
            #expect(try await move(to: "a", rig).outcome == .migrated)
            rig.gates.open(beforeCommand)
            let jobs = try await eventually("both are over") {
                let jobs = try await rig.gcJobs()
                return jobs.allSatisfy(\.state.isEnded) ? jobs : nil
            }
            #expect(Set(jobs.map(\.outcome)) == [.superseded, .released])
            #expect(hostsWithLog(rig) == [rigHostA])
        }
    }

    @Test func `a domain that should not be there is not hidden by the release that waits for its end`() async throws {
        try await withRig { rig in
            let vm = try await rig.vm()
            rig.gates.close(beforeCommand)
            #expect(try await move(to: "b", rig).outcome == .migrated)
            _ = try await eventually("it is to be released") { rig.gates.isHolding(beforeCommand) ? true : nil }
            rig.hosts.change(rigHostA) { $0.domains[vm.id] = Epoch(1) }
            rig.gates.open(beforeCommand)
            _ = try await eventually("it waits for the domain's end") {
                try await rig.gcJobs().first { $0.lastError?.message == "Its domain is there." }
            }
            #expect(try await rig.hostService.orphans(on: "a").map(\.kind) == [.domain])
            #expect(rig.hosts.host(rigHostA).domains == [vm.id: Epoch(1)])
        }
    }
}
