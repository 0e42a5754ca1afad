package import Domain
package import HostAgent
import Synchronization

/// A host as it is, whoever looks: what runs on it, what is on its disk, and what it is connected to.
package final class Machine: Sendable {
    package struct Guest: Hashable, Sendable {
        package var epoch: Epoch
        package var state: DomainState
        /// libvirt's move that is under way, to or from here.
        var move: Move?

        enum Move: Hashable, Sendable { case leaving, arriving }
    }

    struct Door {
        let epoch: Epoch
        let source: HostID
        let land: @Sendable (LandingWord) async -> Bool
    }

    struct Life {
        var guests: [VMID: Guest] = [:]
        var files: [VMID: Set<HeldFile.Kind>] = [:]
        var journal: [CommandID: JournalEntry] = [:]
        var marks: [VMID: EpochMark] = [:]
        var heard = RecordPoint.none
        var boots = 1
        var isOff = false
        var isCut = false
        var isLibvirtUp = true
        /// Who is told of what libvirt sees.
        var events: AsyncStream<HypervisorEvent>.Continuation?
        var doors: [VMID: Door] = [:]
        var agent: Process
        var cancelledMoves: Set<VMID> = []
    }

    package let id: HostID
    package let name: String
    let scheduler: Scheduler
    private let trace: Trace
    private let life: Mutex<Life>

    init(_ id: HostID, _ name: String, _ scheduler: Scheduler, _ trace: Trace) {
        self.id = id
        self.name = name
        self.scheduler = scheduler
        self.trace = trace
        life = Mutex(Life(agent: Process("\(name)'s agent", on: scheduler)))
    }

    func with<Value: Sendable>(_ body: (inout Life) -> Value) -> Value { life.withLock { body(&$0) } }

    /// The guests whose CPUs run.
    package var running: [VMID: Epoch] {
        with { life in life.guests.filter { $0.value.state == .running }.mapValues(\.epoch) }
    }

    package var guests: [VMID: Guest] { with { $0.guests } }
    package var isReachable: Bool { with { !$0.isCut && !$0.isOff } }
    var agent: Process { with { $0.agent } }

    // MARK: What happens to guests

    /// Changes the guest, and lets libvirt tell of it.
    func change(_ vm: VMID, to guest: Guest?, because cause: StopCause = .requested) {
        let (before, events) = with { life -> (Guest?, AsyncStream<HypervisorEvent>.Continuation?) in
            let before = life.guests[vm]
            life.guests[vm] = guest
            return (before, life.isLibvirtUp ? life.events : nil)
        }
        trace.note(
            "\(name): \(vm.short) \(before.map { "\($0.state) \($0.epoch)" } ?? "-") → "
                + (guest.map { "\($0.state) \($0.epoch)" } ?? "gone \(cause.rawValue)"))
        guard let epoch = guest?.epoch ?? before?.epoch else { return }
        events?.yield(.changed(vm, epoch, guest?.state ?? .gone(cause)))
    }

    // MARK: Faults

    func note(_ what: String) { trace.note("\(name): \(what)") }

    /// A move of `vm` has lost its way between the agents: libvirt gives it up at both ends.
    func giveUpMove(of vm: VMID) {
        guard let guest = guests[vm], let move = guest.move else { return }
        var next = guest
        next.move = nil
        switch move {
        case .arriving: change(vm, to: nil, because: .failed)
        case .leaving where guest.state == .moving:
            next.state = .running
            change(vm, to: next)
        case .leaving: with { $0.guests[vm] = next }
        }
    }

    /// The agent's process is killed.
    func killAgent() {
        note("agent killed")
        with { life in
            life.agent.die()
            life.events = nil
            life.doors = [:]
        }
    }

    /// Everything on it is gone at once.
    func losePower() {
        note("power lost")
        killAgent()
        with { life in
            life.isOff = true
            life.guests = [:]
            life.isLibvirtUp = false
        }
    }

    func boot() {
        note("boots")
        with { life in
            life.isOff = false
            life.boots += 1
            life.isLibvirtUp = true
        }
    }

    func killLibvirt() {
        note("libvirtd killed")
        let events = with { life in
            life.isLibvirtUp = false
            return life.events
        }
        events?.yield(.disconnected("the connection is lost"))
    }

    func startLibvirt() {
        guard with({ !$0.isOff }) else { return }
        note("libvirtd started")
        // It ends what had not wholly arrived.
        for (vm, guest) in guests.sorted(by: { $0.key < $1.key }) where guest.move == .arriving {
            change(vm, to: nil, because: .failed)
        }
        let events = with { life in
            life.isLibvirtUp = true
            return life.events
        }
        events?.yield(.connected)
    }

    func cut() {
        note("cut off")
        with { $0.isCut = true }
    }

    func heal() {
        note("healed")
        with { $0.isCut = false }
    }

    /// A fresh process for its agent.
    func freshAgent() -> Process {
        with { life in
            life.agent = Process("\(name)'s agent \(life.boots)", on: scheduler)
            return life.agent
        }
    }
}

extension VMID {
    /// What is enough of it in a trace.
    package var short: String { String(rawValue.prefix(4)) }
}
