package import Domain

/// Durable, transactional memory.
///
/// A port of the control plane's own: free to change. The bodies are synchronous, so that nothing else happens inside a
/// transaction, and may run more than once: they touch nothing but the transaction.
package protocol Database: Sendable {
    /// Runs `body` in one transaction and returns when it is durable.
    ///
    /// When `body` throws, nothing of it is kept. When a conditional write inside it met a newer row (`LostRace`), the whole
    /// body runs again on what is there now. `label` names the transaction's fault points, `before-LABEL` and
    /// `after-LABEL` its commit.
    func write<Result: Sendable>(
        _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result

    /// Runs `body` on one consistent state.
    func read<Result: Sendable>(_ body: @escaping @Sendable (any Transaction) throws -> Result) async throws -> Result
}

/// A conditional write found another revision than it was decided on. The transaction runs again.
package struct LostRace: Error {
    package init() {}
}

package protocol Transaction: VMTable, HostTable, JobTable, ImageTable, CredentialTable, EventLog, RequestMemory,
    NodeTable, ErrandTable, RecoveryTable
{
    /// The time that rows written by this transaction carry.
    var now: Timestamp { get }
}

package protocol VMTable {
    func vm(_ id: VMID) throws -> VM?
    /// The VM of this name that is neither destroyed nor being expunged.
    func vm(named name: String) throws -> VM?
    /// VMs of this name that are destroyed or being expunged, the oldest first.
    func destroyedVMs(named name: String, limit: Int) throws -> [VM]
    /// Destroyed VMs whose `expungeAt` is not after `time`, the earliest first.
    func destroyedVMs(keptUntil time: Timestamp, limit: Int) throws -> [VM]
    func vms(_ query: ListQuery) throws -> ListPage<VM>
    /// All VMs whose placement is on `host`.
    func vms(placedOn host: HostID) throws -> [VM]
    /// VMs with a placement that have a label which `rules` name as affinity or anti-affinity, or whose own anti-affinity
    /// names one of `labels`.
    func neighbours(concerning labels: Labels, _ rules: PlacementRules) throws -> [Neighbour]
    /// VMs that need `image`, now or to be started again: all but those that are being expunged.
    func vms(madeFrom image: ImageID, limit: Int) throws -> [VM]
    /// Fails with the fault `name-taken` when another VM that is neither destroyed nor being expunged has the name.
    func insert(_ vm: VM) throws
    /// Writes `next` if the row still meets `condition`, in one statement; returns what was stored, with its new revision
    /// and `updatedAt`, or nil if the condition does not hold.
    func update(_ next: VM, where condition: VMCondition) throws -> VM?
    /// Removes the row if it still has `revision`; throws `LostRace` otherwise.
    func remove(_ vm: VMID, atRevision revision: Int) throws
}

/// What must still be true of a VM's row at the moment it is changed.
package struct VMCondition: Hashable, Sendable {
    package let revision: Int
    /// The placement that the change was decided for, where it depends on one.
    package let placement: Placement?

    package init(revision: Int, placement: Placement? = nil) {
        self.revision = revision
        self.placement = placement
    }
}

package protocol HostTable {
    /// Also a deleted one.
    func host(_ id: HostID) throws -> Host?
    /// The host of this name that is not deleted.
    func host(named name: String) throws -> Host?
    /// Those that are not deleted.
    func hosts(_ query: ListQuery) throws -> ListPage<Host>
    /// All that are not deleted, in order of name.
    func allHosts() throws -> [Host]
    func insert(_ host: Host) throws
    /// Writes `next` if the row still has `revision`; throws `LostRace` otherwise. Returns what was stored.
    func replace(_ next: Host, atRevision revision: Int) throws -> Host
    /// What VMs with a placement on `host` hold there: CPUs and MiB.
    func allocated(on host: HostID) throws -> Allocation

    /// Replaces what is on record of live domains that `host` shows and no placement owns.
    func setSightings(_ sightings: [Sighting], on host: HostID) throws
    func put(_ sighting: Sighting) throws
    func removeSighting(of vm: VMID, on host: HostID) throws
    func sightings(of vm: VMID) throws -> [Sighting]
    func sightings(on host: HostID) throws -> [Sighting]
}

package struct Allocation: Hashable, Sendable {
    package let cpus: Int
    package let memory: Int  // MiB

    package init(cpus: Int, memory: Int) {
        self.cpus = cpus
        self.memory = memory
    }
}

/// A job whose kind or payload cannot be read is a job like others here, with `unreadable` set; what is stored of it in
/// their place stays as it is, whatever else of it is written. A parked job is stored as due at `Timestamp.never`.
package protocol JobTable {
    func job(_ id: JobID) throws -> Job?
    func jobs(_ query: ListQuery) throws -> ListPage<Job>
    /// Jobs of `vm` that have not ended.
    func unfinishedJobs(of vm: VMID) throws -> [Job]
    func unfinishedJobs(on host: HostID) throws -> [Job]
    /// Jobs of `vm` that are parked.
    func parkedJobs(of vm: VMID) throws -> [Job]
    /// Writes the job, unless an unfinished one of its VM has its unique key; returns the one that is there then.
    func enqueue(_ job: Job) throws -> Job
    /// Writes `next` if the row still has `revision`; throws `LostRace` otherwise.
    func replace(_ next: Job, atRevision revision: Int) throws -> Job
    /// Writes `next` if the job still runs under lease `token`; nil if the lease is lost.
    func replace(_ next: Job, underLease token: Int64) throws -> Job?
    /// Ends a job that still runs under lease `token`; false if the lease is lost. Nothing else of the row is written.
    ///
    /// True may turn out to be premature: then nothing of the body is kept, and it runs again.
    func end(_ job: JobID, underLease token: Int64, as end: JobEnd) throws -> Bool
    /// Leases up to `limit` waiting jobs whose time has come, earliest first, to `owner`: running, with a new token and
    /// one attempt more. Jobs of a host whose session another node holds are that node's.
    func leaseDueJobs(owner: String, limit: Int) throws -> LeasedJobs
    /// The earliest time at which a waiting job is due that `owner` may claim.
    func nextDueTime(for owner: String) throws -> Timestamp?
    /// Makes all parked operations due now: this release may be able to do what another could not.
    func retryParkedOperations() throws
    /// Makes all waiting jobs of `host` due now; returns how many there were.
    func wakeJobs(on host: HostID) throws -> Int
    /// Makes all waiting drains of hosts due now.
    func wakeDrains() throws
    /// The drain of `host` that has not ended.
    func openDrain(of host: HostID) throws -> Job?
    /// The recorded output of a step that finished.
    func stepOutput(of job: JobID, named step: String) throws -> String?
    func steps(of job: JobID) throws -> [JobStep]
    /// Remembers a step, if the job still runs under lease `token`; false if the lease is lost.
    func recordStep(_ output: String, of job: JobID, named step: String, underLease token: Int64) throws -> Bool
    /// Removes at most `limit` jobs that ended so before `time`, with their steps; returns how many.
    func removeJobs(_ verdict: JobEnd.Verdict, before time: Timestamp, limit: Int) throws -> Int
}

/// Jobs that were leased together.
package struct LeasedJobs: Sendable {
    package let count: Int
    /// The jobs. Reading them takes a while: it is done after the transaction, which holds off every other writer.
    package let read: @Sendable () -> [Job]

    package init(count: Int, read: @escaping @Sendable () -> [Job]) {
        self.count = count
        self.read = read
    }

    package static let none = LeasedJobs(count: 0) { [] }
}

package struct JobStep: Hashable, Sendable {
    package let name: String
    package let output: String
    package let at: Timestamp

    package init(name: String, output: String, at: Timestamp) {
        self.name = name
        self.output = output
        self.at = at
    }
}

package protocol ImageTable {
    func image(_ id: ImageID) throws -> Image?
    func image(named name: String) throws -> Image?
    func images(_ query: ListQuery) throws -> ListPage<Image>
    /// Fails with the fault `name-taken`.
    func insert(_ image: Image) throws
    func replace(_ next: Image, atRevision revision: Int) throws -> Image
    func remove(_ image: ImageID) throws
}

package protocol CredentialTable {
    /// The principal that owns the API token with this hash.
    func principal(tokenHash: String) throws -> Principal?
    func insertToken(hash: String, principal: Principal) throws
    func insertJoinToken(_ token: JoinToken) throws
    func joinToken(hash: String) throws -> JoinToken?
    /// Marks the token used by `publicKey`, if it was not used; false if it was.
    func useJoinToken(hash: String, publicKey: String) throws -> Bool
    /// Ends all unused join tokens of `host`.
    func revokeJoinTokens(of host: HostID) throws
}

/// Who asks.
package struct Principal: Hashable, Sendable {
    package let name: String

    package init(name: String) { self.name = name }
}

/// A one-use, expiring right to become the agent of `host`.
package struct JoinToken: Hashable, Sendable {
    /// Lower-case hex of the secret's SHA-256; the secret itself is never stored.
    package let hash: String
    package let host: HostID
    package let expiresAt: Timestamp
    /// Hex SHA-256 of the key that used it; nil while unused.
    package let usedBy: String?

    package init(hash: String, host: HostID, expiresAt: Timestamp, usedBy: String?) {
        self.hash = hash
        self.host = host
        self.expiresAt = expiresAt
        self.usedBy = usedBy
    }
}

package protocol EventLog {
    /// Adds an event to the log, in commit order.
    func append(_ event: Event) throws
    /// Events with ids above `id`, oldest first.
    func events(after id: Int64, limit: Int) throws -> [NumberedEvent]
    /// The id of the newest event, also if it is not kept any more; 0 when there was none.
    func latestEventID() throws -> Int64
    /// The id of the oldest event that is kept.
    func oldestEventID() throws -> Int64?
    /// Removes at most `limit` events from before `time`, the oldest first, so that none is missing among those that stay;
    /// returns how many.
    func removeEvents(before time: Timestamp, limit: Int) throws -> Int
}

/// A change of a record, as `/v1/events` tells it; also the audit log, with who asked.
package struct Event: Hashable, Sendable {
    /// For example `vm.stopping`, `job.ended`, `host.connected`.
    package let kind: String
    package let vm: VMID?
    package let host: HostID?
    package let job: JobID?
    package let epoch: Epoch?
    /// One sentence for people.
    package let message: String
    /// Who asked, where somebody did; `system` otherwise.
    package let principal: String

    package init(
        kind: String, vm: VMID? = nil, host: HostID? = nil, job: JobID? = nil, epoch: Epoch? = nil, message: String,
        principal: String = "system"
    ) {
        self.kind = kind
        self.vm = vm
        self.host = host
        self.job = job
        self.epoch = epoch
        self.message = message
        self.principal = principal
    }
}

package struct NumberedEvent: Hashable, Sendable {
    package let id: Int64
    package let at: Timestamp
    package let event: Event

    package init(id: Int64, at: Timestamp, event: Event) {
        self.id = id
        self.at = at
        self.event = event
    }
}

package protocol RequestMemory {
    func rememberedRequest(key: String) throws -> RememberedRequest?
    func remember(_ request: RememberedRequest) throws
    /// Forgets at most `limit` requests from before `time`; returns how many.
    func forgetRequests(before time: Timestamp, limit: Int) throws -> Int
}

/// A request that was accepted under an `Idempotency-Key`, and what came of it.
package struct RememberedRequest: Hashable, Sendable {
    package let key: String
    /// Hex SHA-256 of method, path and body.
    package let digest: String
    /// The id of the resource that answers it.
    package let resource: String

    package init(key: String, digest: String, resource: String) {
        self.key = key
        self.digest = digest
        self.resource = resource
    }
}

/// One page of a list: filters by field, an order, and where the previous page ended.
package struct ListQuery: Hashable, Sendable {
    /// Field name to wanted value. VMs: `state`, `host`, `name`, `image`, `label`. Hosts: `state`, `connection`, `name`,
    /// `label`. Jobs: `purpose` (operation, gc), `kind`, `state`, `vm`, `host`. Images: `name`, `kind`. A label is
    /// `key=value`; of several with commas between, all must hold.
    package var filters: [String: String]
    /// `name` (hosts, VMs, images), `createdAt`, or `updatedAt`.
    package var sort: String
    package var descending: Bool
    package var limit: Int
    /// The sort value and id of the last item of the previous page.
    package var after: Cursor?

    package struct Cursor: Hashable, Sendable, Codable {
        package let value: String
        package let id: String

        package init(value: String, id: String) {
            self.value = value
            self.id = id
        }
    }

    package init(
        filters: [String: String] = [:], sort: String = "createdAt", descending: Bool = false, limit: Int = 100,
        after: Cursor? = nil
    ) {
        self.filters = filters
        self.sort = sort
        self.descending = descending
        self.limit = limit
        self.after = after
    }
}

package struct ListPage<Item: Sendable>: Sendable {
    package let items: [Item]
    /// Where the next page begins; nil on the last one.
    package let next: ListQuery.Cursor?

    package init(items: [Item], next: ListQuery.Cursor?) {
        self.items = items
        self.next = next
    }
}
