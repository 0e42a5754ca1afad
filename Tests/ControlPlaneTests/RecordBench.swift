import ControlPlane
import Domain
import Synchronization
import Testing

/// A store with two connected hosts and the record of one VM, and no engine: whatever becomes of the record follows from
/// reports. Only the engine sends commands, so that a report sends something exactly if it leaves a job.
final class RecordBench: Sendable {
    /// Where the VM is placed, if it is placed; during a move, where it comes from.
    static let here = Placement(host: rigHostA, epoch: Epoch(5))
    /// Where a move leads.
    static let there = Placement(host: rigHostB, epoch: Epoch(6))
    static let move = Move(source: here, destination: there)

    /// What an inventory says of the VM.
    enum Listed: Sendable {
        case nothing
        case domain(Int64, DomainState)
        case unreadable
        /// libvirt does not answer.
        case silence
    }

    let rig: Rig
    let vm = VMID(trusted: "cccccccc-0000-4000-8000-000000000003")
    private let operation: JobID?
    private let sequence = Mutex<Int64>(20)

    /// - Parameters:
    ///   - isSeen: whether the domain of the placement was ever seen; if so, last under session 1, number 10.
    ///   - isUnderWay: whether an operation is at the VM.
    init(_ state: VMState, isSeen: Bool = true, isUnderWay: Bool = false) async throws {
        rig = try await Rig()
        let (id, operation) = (vm, isUnderWay ? JobID(trusted: "eeeeeeee-0000-4000-8000-000000000005") : nil)
        self.operation = operation
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        try await rig.database.write("record") { tx in
            try tx.insert(
                VM(
                    id: id, name: "v", image: ImageID(trusted: "dddddddd-0000-4000-8000-000000000004"), cpus: 1,
                    memory: 128, state: state,
                    epoch: state.placements.map(\.epoch).max() ?? Self.here.epoch,
                    lastPlacement: state.placement ?? Self.here, domainSeen: isSeen,
                    observed: isSeen ? Observation(session: 1, sequence: 10) : nil, operation: operation,
                    expungeAt: state.label == .destroyed ? tx.now.adding(.seconds(3600)) : nil,
                    createdAt: tx.now, updatedAt: tx.now))
        }
    }

    private func next() -> Int64 {
        sequence.withLock { value in
            value += 1
            return value
        }
    }

    // MARK: Reports

    func inventory(
        _ host: HostID, _ listed: Listed, isBusy: Bool = false, boot: String = "boot-1", sequence: Int64? = nil
    ) async throws {
        var domains: [ObservedDomain] = []
        var answers = true
        switch listed {
        case .nothing: break
        case .domain(let epoch, let state): domains = [ObservedDomain(vm: vm, epoch: Epoch(epoch), state: state)]
        case .unreadable: domains = [ObservedDomain(vm: vm, epoch: nil, state: .running)]
        case .silence: answers = false
        }
        let inventory = Inventory(
            bootID: boot, libvirtAnswered: answers, domains: domains, busy: isBusy ? [vm] : [],
            sequence: sequence ?? next())
        try await rig.sessions.received(inventory, from: host, session: rig.hosts.host(host).session)
    }

    func event(_ host: HostID, _ epoch: Int64, _ state: DomainState, sequence: Int64? = nil) async throws {
        let change = DomainChange(vm: vm, epoch: Epoch(epoch), state: state, sequence: sequence ?? next())
        try await rig.sessions.received(change, from: host, session: rig.hosts.host(host).session)
    }

    // MARK: What came of it

    func record() async throws -> VM { try await rig.vms.vm(vm.rawValue).vm }

    /// The record is `state`, exactly these conflicts are shown on it and each was told of, and nothing was sent or left to be sent.
    func expect(
        _ state: VMState, conflicts: [Placement] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let id = vm
        let view = try await rig.vms.vm(id.rawValue)
        #expect(view.vm.state == state, sourceLocation: sourceLocation)
        #expect(view.vm.operation == operation, sourceLocation: sourceLocation)
        let shown = view.conflicts.map { Placement(host: $0.host, epoch: $0.epoch) }
        #expect(Set(shown) == Set(conflicts), sourceLocation: sourceLocation)
        let told = try await conflictsTold().compactMap { told in
            told.event.host.flatMap { host in told.event.epoch.map { Placement(host: host, epoch: $0) } }
        }
        #expect(Set(told).isSuperset(of: conflicts), "a conflict was not told of", sourceLocation: sourceLocation)
        let jobs = try await rig.database.read { try $0.unfinishedJobs(of: id) }
        #expect(jobs.isEmpty, "a report left a job", sourceLocation: sourceLocation)
        #expect(rig.hosts.log.isEmpty, sourceLocation: sourceLocation)
    }

    /// Why a start is refused; nil if it is accepted.
    func refusalOfStart(on host: String = "b") async throws -> FaultCode? {
        do { _ = try await rig.vms.start("v", on: host, by: Rig.operatorCaller) } catch let fault as Fault {
            return fault.code
        }
        return nil
    }

    /// What the feed told of conflicts.
    func conflictsTold() async throws -> [NumberedEvent] {
        try await rig.database.read { try $0.events(after: 0, limit: 1000) }.filter { $0.event.kind == "vm.conflict" }
    }
}
