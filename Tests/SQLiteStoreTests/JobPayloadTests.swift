import ControlPlane
import Domain
import Foundation
import StoreConformance
import Testing

@testable import SQLStore

/// What is stored of a job is read by every later release: `Golden/job-payload-N.txt` has, for each kind, the payload that
/// releases with version N write. The files of earlier versions are never changed.
@Suite struct JobPayloadTests {
    private static let command = CommandID(trusted: "ffffffff-0000-4000-8000-000000000001")
    private static let arrival = CommandID(trusted: "ffffffff-0000-4000-8000-000000000002")

    /// A payload of each kind with all that the kind uses.
    private static func sample(_ kind: JobKind) -> JobPayload {
        var payload = JobPayload(command: command)
        switch kind {
        case .startOperation, .resumeOperation, .pauseOperation, .resetOperation, .recoverOperation, .expungeOperation:
            break
        case .rebootOperation: payload.timeout = 30
        case .stopOperation, .stopVM:
            (payload.mode, payload.timeout, payload.isDeferrable) = (.grace, 120, true)
            payload.drain = Sample.jobID(9)
        case .destroyOperation, .destroyVM: (payload.isDeferrable, payload.removesDisk) = (true, false)
        case .deleteVolume: payload.removesDisk = true
        case .releasePlacement: payload.isDeferrable = true
        case .adoptVM: (payload.isDeferrable, payload.grantedEpoch) = (true, Epoch(8))
        case .migrateOperation:
            payload.destination = Sample.placement(2, epoch: 4)
            payload.migration = MigrationOptions(
                copiesStorage: true, autoConverges: true, allowsPostCopy: false, timeout: 600)
            payload.arrivalCommand = arrival
            payload.isCancelRequested = true
            payload.progress = MigrationProgress(processed: 1, total: 3, remaining: 2)
            payload.drain = Sample.jobID(9)
        case .maintainOperation:
            payload.stopsImmovable = true
            var guest = DrainedGuest(vm: Sample.vmID(1), name: "v")
            (guest.stage, guest.target, guest.work) = (.moving, Sample.hostID(2), Sample.jobID(3))
            (guest.failures, guest.failure) = (1, Fault(.unavailable, .commandFailed, "It failed."))
            guest.retryAt = Sample.time
            payload.drained = DrainProgress(departed: 2, guests: [guest])
        case .unknownOperation, .unknownGC: break
        }
        return payload
    }

    private static func file(_ version: Int) -> URL {
        URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/job-payload-\(version).txt")
    }

    private static func lines(_ version: Int) throws -> [(kind: String, payload: String)] {
        try String(contentsOf: file(version), encoding: .utf8).split(separator: "\n").map { line in
            let parts = line.split(separator: " ", maxSplits: 1)
            return (String(parts[0]), String(try #require(parts.last)))
        }
    }

    @Test func `this release writes the payload of each kind as its version has it`() throws {
        let written = try JobKind.known.map { "\($0.rawValue) \(try JSONText.encode(Self.sample($0)))" }
        if ProcessInfo.processInfo.environment["ROOST_UPDATE_GOLDEN"] == "1" {
            let text = written.joined(separator: "\n") + "\n"
            try text.write(to: Self.file(JobPayload.currentVersion), atomically: true, encoding: .utf8)
        }
        let golden = try Self.lines(JobPayload.currentVersion).map { "\($0.kind) \($0.payload)" }
        #expect(written == golden, "Another shape is another version: see JobPayload.currentVersion.")
    }

    @Test(arguments: 1...JobPayload.currentVersion)
    func `the payloads of every version are read`(version: Int) throws {
        let lines = try Self.lines(version)
        #expect(!lines.isEmpty)
        for line in lines {
            let work = StoredWork(kind: line.kind, payload: line.payload)
            #expect(work.unreadable == nil, "\(line.kind)")
            #expect(work.kind.rawValue == line.kind)
            if version == JobPayload.currentVersion { #expect(work.payload == Self.sample(work.kind)) }
        }
    }

    @Test func `a payload of version 1 keeps its meaning`() throws {
        let stop = StoredWork(
            kind: "stop-vm",
            payload:
                #"{"command":"ffffffff-0000-4000-8000-000000000001","isDeferrable":true,"mode":"cold","timeout":0,"version":1}"#
        )
        var meant = JobPayload(mode: .cold, timeout: 0, isDeferrable: true, command: Self.command)
        #expect(stop.payload == meant && stop.unreadable == nil)
        meant.mode = .force
        #expect(stop.payload != meant)
        let bare = StoredWork(kind: "operation.start", payload: #"{"version":1}"#)
        #expect(bare.payload == JobPayload() && bare.unreadable == nil)
    }

    @Test(arguments: [
        ("sing", #"{"version":1}"#, "'sing'"), ("operation.sing", #"{"version":1}"#, "'operation.sing'"),
        ("stop-vm", #"{"version":2}"#, "version 2"), ("stop-vm", #"{"mode":"cold","version":99}"#, "version 99"),
        ("stop-vm", "{", "damaged"), ("stop-vm", "", "damaged"), ("stop-vm", "{}", "damaged"),
        ("stop-vm", #"{"version":0}"#, "damaged"), ("stop-vm", #"{"mode":"sing","version":1}"#, "cannot be read"),
    ])
    func `what cannot be read says why, and is stored again as it was`(
        kind: String, payload: String, why: String
    ) async throws {
        let store = try TemporaryStore.inMemory()
        try await store.write("enqueue") { tx in for number in 1...3 { _ = try tx.enqueue(Sample.job(number)) } }
        try await store.raw("UPDATE job SET kind = '\(kind)', payload = '\(payload)' WHERE id = '\(Sample.jobID(2))'")

        // It is in the way of nobody.
        let claimed = try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 10) }.sorted {
            $0.id < $1.id
        }
        #expect(claimed.map(\.id) == [1, 2, 3].map { Sample.jobID($0) })
        let job = claimed[1]
        #expect(claimed.filter { $0.unreadable != nil } == [job])
        #expect(job.unreadable?.reason.contains(why) == true)
        #expect(job.storedKind == kind && job.label == JobKind.label(ofStored: kind))
        #expect(job.payload == JobPayload())
        #expect(job.vm == Sample.vmID(2) && job.host == Sample.hostID(1) && job.attempts == 1)

        let parked = try await store.write("park") { tx in
            var next = job
            next.state = .parked
            next.note("why", at: tx.now)
            return try tx.replace(next, underLease: job.leaseToken)
        }
        #expect(parked?.unreadable == job.unreadable)
        let stored = try await store.raw("SELECT kind || payload FROM job WHERE id = '\(Sample.jobID(2))'")
        #expect(stored == [.text(kind + payload)])

        func ids(_ filters: [String: String]) async throws -> [JobID] {
            try await store.read { try $0.jobs(ListQuery(filters: filters)).items.map(\.id) }
        }
        let purpose = job.kind.purpose.rawValue
        #expect(try await ids([:]).count == 3)
        #expect(try await ids(["state": "needs-attention", "purpose": purpose]) == [Sample.jobID(2)])
        #expect(try await ids(["purpose": "gc"]).contains(Sample.jobID(2)) == (purpose == "gc"))
        #expect(try await store.read { try $0.unfinishedJobs(of: Sample.vmID(2)) } == [parked])
        #expect(try await store.read { try $0.parkedJobs(of: Sample.vmID(2)) } == [parked])
    }

    @Test func `the end of a job that a later release gave names of its own can be read`() async throws {
        let store = try TemporaryStore.inMemory()
        try await store.write("enqueue") { tx in _ = try tx.enqueue(Sample.job(1)) }
        let fault = #"{"kind":"unavailable","code":"moon-phase","message":"The moon is full."}"#
        try await store.raw(
            "UPDATE job SET state = 'ended', verdict = 'failed', outcome = 'sung', fault = '\(fault)', ended_at = updated_at"
        )
        let job = try await store.read { try $0.jobs(ListQuery()).items.first }
        let end = JobEnd(.failed, .unnamed, fault: Fault(.unavailable, .unnamed, "The moon is full."))
        #expect(job?.state == .ended(end))
    }
}
