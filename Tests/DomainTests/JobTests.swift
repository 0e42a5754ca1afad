import Domain
import Testing

@Suite struct JobTests {
    private func job(_ kind: JobKind) -> Job {
        let time = Timestamp(milliseconds: 1)
        return Job(
            id: JobID(trusted: "eeeeeeee-0000-4000-8000-000000000001"), kind: kind,
            vm: VMID(trusted: "cccccccc-0000-4000-8000-000000000001"),
            host: HostID(trusted: "aaaaaaaa-0000-4000-8000-000000000001"), epoch: Epoch(1), payload: JobPayload(),
            wish: 1, nextAttemptAt: time, requestedBy: "admin", createdAt: time, updatedAt: time)
    }

    @Test func `a GC job is stuck on a defect and on an epoch that cannot be read, and on nothing that passes`() {
        let kinds = FaultKind.allCases
        for kind in kinds {
            for code in FaultCode.allCases {
                let isStuck = job(.stopVM).isStuck(on: Fault(kind, code, "Oh."))
                #expect(isStuck == (kind == .bug || code == .epochConflict), "\(kind) \(code)")
            }
        }
    }

    @Test func `no operation is ever stuck: what was accepted ends`() {
        for kind in JobKind.operations {
            #expect(!job(kind).isStuck(on: Fault(.bug, .internalError, "Oh.")), "\(kind)")
        }
    }

    @Test func `a stored name is a known kind or tells at least whether it is an operation`() {
        for kind in JobKind.known { #expect(JobKind(stored: kind.rawValue) == kind) }
        #expect(JobKind(stored: "operation.sing") == .unknownOperation)
        #expect(JobKind(stored: "sing") == .unknownGC)
        #expect(JobKind.unknownOperation.purpose == .operation && JobKind.unknownGC.purpose == .gc)
        #expect(JobKind.operations.allSatisfy(\.isKnown) && JobKind.gcJobs.allSatisfy(\.isKnown))
        #expect(JobKind.label(ofStored: "operation.sing") == "sing" && JobKind.label(ofStored: "sing") == "sing")
    }

    @Test func `the first error stays and the last one is the latest`() {
        var job = job(.stopVM)
        for number in 1...3 { job.note("error \(number)", at: Timestamp(milliseconds: Int64(number))) }
        #expect(job.firstError == JobError("error 1", at: Timestamp(milliseconds: 1)))
        #expect(job.lastError == JobError("error 3", at: Timestamp(milliseconds: 3)))
    }
}
