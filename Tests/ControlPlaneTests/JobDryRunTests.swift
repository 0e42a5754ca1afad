import ControlPlane
import Domain
import Testing

/// What a dry run says is what the request does, and it does nothing.
@Suite struct JobDryRunTests {
    private let caller = Rig.operatorCaller

    private struct Record: Equatable {
        let job: Job
        let vm: VM
        let lastEvent: Int64

        init(_ rig: Rig, _ job: JobID) async throws {
            (self.job, vm, lastEvent) = try await rig.database.read { tx in
                let job = try #require(try tx.job(job))
                return (job, try #require(try tx.vm(job.vm)), try tx.latestEventID())
            }
        }
    }

    /// A VM on a host that is away, and the job that is to stop it.
    private func waitingStop(_ rig: Rig) async throws -> Job {
        try await rig.connect(rigHostA)
        let engine = rig.startEngine()
        _ = try await rig.runningVM()
        engine.cancel()
        _ = try? await engine.value
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        return try #require(try await rig.gcJobs().first)
    }

    @Test func `a dry run of a trigger says what would be done and what is in its way`() async throws {
        let rig = try await Rig()
        let job = try await waitingStop(rig)
        let before = try await Record(rig, job.id)
        let rehearsal = try await rig.jobs.rehearseTrigger(job.id.rawValue, by: caller)
        #expect(try await Record(rig, job.id) == before)
        #expect(rehearsal.job.state == .waiting && rehearsal.job.nextAttemptAt < job.nextAttemptAt)
        #expect(rehearsal.changes.count == 3)
        #expect(rehearsal.changes.first == "GC job stop-vm was triggered by hand.")
        #expect(rehearsal.changes[1].hasPrefix("Stops the domain of VM v with epoch 1 on host a"))
        #expect(rehearsal.changes[2] == "Host a is disconnected.")
        let triggered = try await rig.jobs.trigger(job.id.rawValue, by: caller)
        #expect(triggered.state == rehearsal.job.state && triggered.revision == rehearsal.job.revision)
    }

    @Test func `a dry run of a cancellation says what would become of the VM`() async throws {
        let rig = try await Rig()
        let job = try await waitingStop(rig)
        let before = try await Record(rig, job.id)
        let rehearsal = try await rig.jobs.rehearseCancel(job.id.rawValue, by: caller)
        #expect(try await Record(rig, job.id) == before)
        #expect(rehearsal.job.outcome == .cancelledByUser)
        _ = try await rig.jobs.cancelGCJob(job.id.rawValue, by: caller)
        let told = try await rig.database.read { try $0.events(after: before.lastEvent, limit: 100) }
        #expect(told.map(\.event.message).prefix(2) == rehearsal.changes.prefix(2))
        #expect(rehearsal.changes.count == 3 && rehearsal.changes.last?.hasPrefix("Not done then: Stops") == true)
        #expect(try await rig.vm().state.label == .unknown)
    }

    @Test func `a dry run is refused for the same reasons, and its key is free for the request itself`() async throws {
        let rig = try await Rig()
        let job = try await waitingStop(rig)
        let stale = Caller(principal: caller.principal, ifMatch: job.revision + 1)
        await #expect(throws: Fault.self) { _ = try await rig.jobs.rehearseCancel(job.id.rawValue, by: stale) }
        let keyed = { (digest: String) in
            Caller(
                principal: Rig.operatorCaller.principal, request: Caller.RequestKey(key: "k", digest: digest))
        }
        _ = try await rig.jobs.rehearseCancel(job.id.rawValue, by: keyed("dry"))
        #expect(try await rig.jobs.cancelGCJob(job.id.rawValue, by: keyed("wet")).outcome == .cancelledByUser)
        let refused = await #expect(throws: Fault.self) {
            _ = try await rig.jobs.rehearseTrigger(job.id.rawValue, by: keyed("other"))
        }
        #expect(refused?.code == .invalidState)
    }
}
