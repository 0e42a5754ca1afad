import ControlPlane
import Domain
import Synchronization
import Testing

/// Jobs that trying again cannot help.
@Suite struct ParkedJobTests {
    private let caller = Rig.operatorCaller
    private static let broken = Fault(.bug, .internalError, "The agent answered another question.")
    private static let unreadable = Fault(.conflict, .epochConflict, "The domain has no readable epoch.")

    /// A VM whose deferred stop met `fault` on its host, once.
    private func parkedStop(_ rig: Rig, _ fault: Fault) async throws -> Job {
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        rig.hosts.decideFate { _ in .fail(fault) }
        try await rig.connect(rigHostA)
        let job = try await eventually("the job is parked") {
            try await rig.gcJobs("needs-attention").first
        }
        rig.hosts.decideFate { _ in .deliver }
        return job
    }

    @Test(arguments: [broken, unreadable])
    func `a permanent error parks a GC job at once, and neither its host nor a sweep wakes it`(fault: Fault)
        async throws
    {
        let rig = try await Rig { $0.sweepInterval = .milliseconds(5) }
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let job = try await parkedStop(rig, fault)
        #expect(job.state == .parked && job.attempts == 1 && job.owner == nil)
        #expect(job.lastError?.message == fault.message && job.firstError == job.lastError)

        try await rig.cut(rigHostA)
        try await rig.connect(rigHostA)
        try await rig.sessions.received(
            rig.hosts.inventory(rigHostA), from: rigHostA, session: rig.hosts.host(rigHostA).session)
        // Whatever the engine takes up after that is done before another VM's whole life.
        _ = try await rig.runningVM("other")
        _ = try await rig.vms.stop("other", StopRequest(mode: .cold, isDeferrable: false), by: caller)
        _ = try await eventually("the other is stopped") {
            try await rig.vm("other").state.label == .stopped ? true : nil
        }
        #expect(try await rig.jobs.gcJob(job.id.rawValue) == job)
        #expect(try await rig.database.read { try $0.nextDueTime(for: "test") } == nil)
    }

    @Test func `a VM names its parked job until a hand makes the job go on`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let job = try await parkedStop(rig, Self.broken)
        #expect(try await rig.vms.vm("v").parked == [job])
        #expect(try await rig.vms.vms(ListQuery()).items.map(\.parked) == [[job]])
        let explained = try await rig.jobs.explain(job.id.rawValue)
        #expect(explained.waitsBecause.contains(Self.broken.message))
        #expect(explained.wokenBy == ["roost gc run \(job.id), and nothing else"])
        #expect(explained.cancelledBy.contains("roost gc delete \(job.id)"))
        let told = try await rig.events(of: job.vm).filter { $0.kind == "job.needs-attention" && $0.job == job.id }
        #expect(told.count == 1)

        let triggered = try await rig.jobs.trigger(job.id.rawValue, by: caller)
        #expect(triggered.state == .waiting)
        let ended = try await rig.endedGCJob()
        #expect(ended.outcome == .stopped)
        #expect(ended.firstError == job.firstError)
        #expect(try await rig.vm().state == .stopped(.requested))
        #expect(try await rig.vms.vm("v").parked.isEmpty)
    }

    @Test func `a hand cancels a parked job`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let job = try await parkedStop(rig, Self.broken)
        #expect(try await rig.jobs.cancelGCJob(job.id.rawValue, by: caller).outcome == .cancelledByUser)
        let state = try await rig.vm().state.label
        #expect(state == .running)
    }

    @Test func `deleting its host ends a parked job`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        let job = try await parkedStop(rig, Self.broken)
        try await rig.cut(rigHostA)
        _ = try await rig.hostService.delete("a", isForced: true, by: caller)
        #expect(try await rig.jobs.gcJob(job.id.rawValue).outcome == .hostDeleted)
    }

    @Test func `what passes is tried again, with the first and the last error on record`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        let tries = Mutex(0)
        rig.hosts.decideFate { _ in
            let number = tries.withLock { count in
                count += 1
                return count
            }
            return number < 4 ? .fail(Fault(.unavailable, .commandFailed, "Failure \(number).")) : .deliver
        }
        try await rig.connect(rigHostA)
        let job = try await rig.endedGCJob()
        #expect(job.outcome == .stopped && job.attempts == 4)
        #expect(job.firstError?.message == "Failure 1." && job.lastError?.message == "Failure 3.")
        let first = try #require(job.firstError)
        let last = try #require(job.lastError)
        #expect(job.createdAt <= first.at && first.at <= last.at && last.at <= job.updatedAt)
    }

    @Test func `a node that stops parks nothing: what breaks off then says nothing of the job`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller)
        rig.hosts.decideFate { _ in .fail(Self.broken) }
        rig.gates.close("gc-stop.before-write")
        try await rig.connect(rigHostA)
        _ = try await eventually("the job is held") { rig.gates.isHolding("gc-stop.before-write") ? true : nil }
        engine.cancel()
        rig.gates.open("gc-stop.before-write")
        _ = try? await engine.value
        let job = try #require(try await rig.gcJobs().first)
        #expect(job.state == .waiting)
    }

    // MARK: What another release wrote

    private static let foreignVM = VMID(trusted: "cccccccc-0000-4000-8000-00000000000f")

    /// A job as a newer release would have left it.
    private func foreign(_ kind: String, _ payload: String, of vm: VMID = foreignVM) -> Job {
        let time = Timestamp(milliseconds: 1_700_000_000_000)
        return Job(
            id: JobID(trusted: "eeeeeeee-0000-4000-8000-00000000000f"), kind: JobKind(stored: kind), vm: vm,
            host: rigHostA, epoch: Epoch(1), payload: JobPayload(), wish: 1, nextAttemptAt: time, requestedBy: "admin",
            createdAt: time, updatedAt: time,
            unreadable: UnreadableWork(kind: kind, payload: payload, reason: "It is from a newer release."))
    }

    @Test(arguments: [("sing", "{}"), ("stop-vm", #"{"mode":"sing","version":2}"#), ("stop-vm", "nonsense")])
    func `a job that cannot be read is parked and shown as it is, and the others run`(
        kind: String, payload: String
    ) async throws {
        let rig = try await Rig()
        let job = foreign(kind, payload)
        try await rig.database.write("foreign") { _ = try $0.enqueue(job) }
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        let parked = try await eventually("it is parked") { try await rig.gcJobs("needs-attention").first }
        #expect(parked.label == kind)
        #expect(parked.unreadable?.payload == payload)
        let reason = try #require(parked.lastError?.message)
        #expect(reason == parked.unreadable?.reason)
        let explained = try await rig.jobs.explain(parked.id.rawValue)
        #expect(explained.doing.contains("cannot read it"))

        // A hand tries again in vain, and nothing is lost by it.
        _ = try await rig.jobs.trigger(parked.id.rawValue, by: caller)
        let again = try await eventually("it is parked again") {
            try await rig.gcJobs("needs-attention").first { $0.attempts == 2 }
        }
        #expect(again.unreadable == parked.unreadable)
        let rehearsal = try await rig.jobs.rehearseCancel(parked.id.rawValue, by: caller)
        #expect(rehearsal.changes == ["\(kind) ended: cancelled-by-user."])
        let ended = try await rig.jobs.cancelGCJob(parked.id.rawValue, by: caller)
        #expect(ended.outcome == .cancelledByUser && ended.label == kind)
        #expect(rig.hosts.log == ["A start 1"])
    }

    @Test func `an operation that cannot be read is parked, named by its VM, and ended by a hand`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        let vm = try await rig.runningVM()
        let job = foreign("operation.sing", "{}", of: vm.id)
        try await rig.database.write("foreign") { tx in
            _ = try tx.enqueue(job)
            var next = vm
            next.operation = job.id
            _ = try tx.update(next, where: VMCondition(revision: vm.revision))
        }
        let parked = try await eventually("it is parked") {
            try await rig.jobs.jobs(.operation, ListQuery(filters: ["state": "needs-attention"])).items.first
        }
        #expect(parked.id == job.id && parked.label == "sing")
        #expect(try await rig.vms.vm("v").parked == [parked])
        do {
            _ = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
            Issue.record("the stop was accepted")
        } catch let fault as Fault {
            #expect(fault.code == .operationInProgress)
            #expect(fault.hint?.contains("roost operation cancel \(job.id)") == true)
        }
        #expect(try await rig.jobs.cancelOperation(job.id.rawValue, by: caller).outcome == .cancelledByUser)
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
        #expect(try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(30)).outcome == .stopped)
    }

    /// The record of one VM whose operation this release cannot read.
    private func bench(_ state: VMState) async throws -> RecordBench {
        let bench = try await RecordBench(state, isUnderWay: true)
        let vm = try await bench.record()
        let operation = try #require(vm.operation)
        let job = foreign("operation.sing", "{}", of: vm.id)
        try await bench.rig.database.write("foreign") { tx in
            _ = try tx.enqueue(
                Job(
                    id: operation, kind: job.kind, vm: vm.id, host: rigHostA, epoch: Epoch(5), payload: job.payload,
                    state: .parked, wish: 1, nextAttemptAt: tx.now, requestedBy: "admin", createdAt: tx.now,
                    updatedAt: tx.now, unreadable: job.unreadable))
        }
        return bench
    }

    @Test func `deleting a VM ends its operation that cannot be read`() async throws {
        let bench = try await bench(.running(RecordBench.here))
        let operation = try #require(try await bench.record().operation)
        _ = try await bench.rig.vms.destroy("v", isDeferrable: true, by: caller)
        #expect(try await bench.rig.jobs.operation(operation.rawValue).outcome == .superseded)
    }

    @Test func `an operation that cannot be read is not given up in the middle of a move`() async throws {
        let bench = try await bench(.migrating(RecordBench.move))
        let before = try await bench.record()
        let operation = try #require(before.operation)
        let refused = await #expect(throws: Fault.self) {
            _ = try await bench.rig.jobs.cancelOperation(operation.rawValue, by: caller)
        }
        #expect(refused?.code == .invalidState)
        #expect(try await bench.record() == before)
        #expect(try await bench.rig.jobs.operation(operation.rawValue).state == .parked)
    }

    @Test func `the next start of a server looks again at operations that could not be read`() async throws {
        let rig = try await Rig()
        let job = foreign("operation.sing", "{}")
        try await rig.database.write("foreign") { _ = try $0.enqueue(job) }
        for attempt in 1...2 {
            let engine = rig.startEngine()
            _ = try await eventually("it is parked") {
                let found = try await rig.jobs.operation(job.id.rawValue)
                return found.state == .parked && found.attempts == attempt ? true : nil
            }
            engine.cancel()
            _ = try? await engine.value
        }
    }
}
