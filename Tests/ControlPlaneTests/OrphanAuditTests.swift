import ControlPlane
import Domain
import Testing

/// What of a host's holdings is an orphan.
@Suite struct OrphanAuditTests {
    private let vm = VMID(trusted: "eeeeeeee-0000-4000-8000-00000000000e")
    private let pool = PoolID(trusted: "99999999-0000-4000-8000-000000000001")
    private let otherPool = PoolID(trusted: "99999999-0000-4000-8000-000000000002")

    private func domain(_ epoch: Int64?) -> HeldDomain {
        HeldDomain(
            seen: ObservedDomain(vm: vm, epoch: epoch.map { Epoch($0) }, state: .running), name: "web-eeeeeeee",
            cpus: 1,
            memory: 64)
    }

    private func record(_ state: VMState, pool: PoolID? = nil) -> VM {
        VM(
            id: vm, name: "web", image: ImageID(trusted: "dddddddd-0000-4000-8000-000000000004"), cpus: 1, memory: 64,
            state: state, epoch: Epoch(9), pool: pool, createdAt: Timestamp(milliseconds: 0),
            updatedAt: Timestamp(milliseconds: 0))
    }

    private func job(_ kind: JobKind, on host: HostID = rigHostA, _ epoch: Int64, removesDisk: Bool? = nil) -> Job {
        Job(
            id: JobID(trusted: "ffffffff-0000-4000-8000-00000000000f"), kind: kind, vm: vm, host: host,
            epoch: Epoch(epoch), payload: JobPayload(removesDisk: removesDisk), wish: 0,
            nextAttemptAt: Timestamp(milliseconds: 0),
            requestedBy: "operator", createdAt: Timestamp(milliseconds: 0), updatedAt: Timestamp(milliseconds: 0))
    }

    private func audit(
        _ domains: [HeldDomain] = [], files: [HeldFile.Kind] = [], _ record: VM? = nil, jobs: [Job] = []
    ) -> [Orphan] {
        let holdings = HostHoldings(
            pool: pool, domains: domains, files: files.map { HeldFile(vm: vm, kind: $0, bytes: 7) },
            epochs: [vm: Epoch(5)])
        return OrphanAudit.orphans(
            in: holdings, on: rigHostA, records: record.map { [vm: $0] } ?? [:], jobs: jobs)
    }

    private func placed(_ host: HostID, _ epoch: Int64) -> VMState {
        .running(Placement(host: host, epoch: Epoch(epoch)))
    }

    @Test func `a domain is an orphan unless its VM is placed there with its epoch`() {
        #expect(audit([domain(5)]).map(\.reason) == [.noRecord])
        #expect(audit([domain(5)], record(placed(rigHostA, 5))).isEmpty)
        #expect(audit([domain(4)], record(placed(rigHostA, 5))).map(\.reason) == [.placedElsewhere])
        #expect(audit([domain(5)], record(placed(rigHostB, 5))).map(\.reason) == [.placedElsewhere])
        #expect(audit([domain(5)], record(.stopped(.hostFenced))).map(\.reason) == [.placedElsewhere])
        #expect(audit([domain(5)], record(.destroyed)).map(\.reason) == [.placedElsewhere])
        #expect(
            audit([domain(5)], record(.unknown(Placement(host: rigHostA, epoch: Epoch(5)), .outcomeUnknown))).isEmpty)
    }

    @Test func `a domain whose epoch cannot be read is an orphan only where no placement can be its own`() {
        #expect(audit([domain(nil)], record(placed(rigHostA, 5))).isEmpty)
        #expect(audit([domain(nil)], record(placed(rigHostB, 5))).map(\.epoch) == [nil])
        #expect(audit([domain(nil)]).map(\.reason) == [.noRecord])
    }

    @Test func `what an unfinished job names is in its care`() {
        #expect(audit([domain(5)], jobs: [job(.stopVM, 5)]).isEmpty)
        #expect(audit([domain(5)], jobs: [job(.stopVM, 4)]).count == 1)
        #expect(audit([domain(5)], jobs: [job(.stopVM, on: rigHostB, 5)]).count == 1)
        #expect(audit([domain(5)], jobs: [job(.startOperation, 5)]).count == 1)
        #expect(audit(files: [.rootDisk, .consoleLog], jobs: [job(.destroyVM, 5)]).isEmpty)
        #expect(audit(files: [.rootDisk, .consoleLog], jobs: [job(.deleteVolume, 5)]).isEmpty)
        #expect(audit(files: [.rootDisk], jobs: [job(.deleteVolume, on: rigHostB, 5)]).count == 1)
        #expect(audit(files: [.rootDisk], jobs: [job(.destroyVM, 5, removesDisk: false)]).count == 1)
        #expect(audit(files: [.rootDisk], jobs: [job(.stopVM, 5)]).count == 1)
    }

    @Test func `files belong to a record whose disk is in this pool, wherever the VM is`() {
        let both: [HeldFile.Kind] = [.consoleLog, .rootDisk]
        let orphans = audit(files: both)
        #expect(orphans.map(\.kind) == [.rootDisk, .consoleLog])
        #expect(orphans.map(\.reason) == [.noRecord, .noRecord])
        #expect(orphans.map(\.epoch) == [Epoch(5), Epoch(5)])
        #expect(orphans.map(\.bytes) == [7, 7])
        for state in [placed(rigHostB, 5), .stopped(.requested), .created, .destroyed, .expunging, placed(rigHostA, 3)]
        {
            #expect(audit(files: both, record(state, pool: pool)).isEmpty, "\(state)")
            #expect(audit(files: both, record(state)).isEmpty, "\(state)")
        }
        for state in [placed(rigHostB, 5), .stopped(.requested)] {
            #expect(
                audit(files: both, record(state, pool: otherPool)).map(\.reason) == [.diskElsewhere, .diskElsewhere])
        }
        // Its host's pool was made anew under it.
        #expect(audit(files: both, record(placed(rigHostA, 5), pool: otherPool)).isEmpty)
    }
}
