import Domain
import Synchronization

/// The truth of all simulated hosts: what runs where, what ever ran, and what should not have happened.
final class SimulatedFleet: Sendable {
    struct Instance: Hashable, CustomStringConvertible {
        let vm: VMID
        let epoch: Epoch
        var description: String { "\(vm) of epoch \(epoch)" }
    }

    /// A command that reached a host's agent.
    struct Arrival: Hashable {
        let host: String
        let label: String
        let instance: Instance
    }

    private struct State {
        /// By VM: the host that runs its domain, with its epoch.
        var running: [VMID: [String: Epoch]] = [:]
        var starts: [Instance: Int] = [:]
        var ends: [Instance: Int] = [:]
        var arrivals: [Arrival: Int] = [:]
        /// Commands that an agent refused, by the code.
        var refusals: [Arrival: [FaultCode]] = [:]
    }

    private let state = Mutex(State())
    private let violated: @Sendable (String) -> Void

    init(violated: @escaping @Sendable (String) -> Void) { self.violated = violated }

    // MARK: What the hosts tell

    func arrived(_ command: HostCommand, at host: String) {
        state.withLock { $0.arrivals[Self.arrival(of: command, at: host), default: 0] += 1 }
    }

    func refused(_ command: HostCommand, at host: String, _ code: FaultCode) {
        state.withLock { $0.refusals[Self.arrival(of: command, at: host), default: []].append(code) }
    }

    func started(_ instance: Instance, on host: String) {
        let wrong = state.withLock { state in
            var wrong: [String] = []
            state.starts[instance, default: 0] += 1
            if let count = state.starts[instance], count > 1 { wrong.append("\(instance) was started \(count) times") }
            let others = state.running[instance.vm] ?? [:]
            if !others.isEmpty { wrong.append("\(instance) was started on \(host) while \(others) ran") }
            state.running[instance.vm, default: [:]][host] = instance.epoch
            let order = Arrival(host: host, label: "start", instance: instance)
            if state.arrivals[order] == nil {
                wrong.append("\(instance) was started on \(host), and nobody asked for it")
            }
            return wrong
        }
        wrong.forEach(violated)
    }

    func ended(_ instance: Instance, on host: String) {
        let wrong = state.withLock { state in
            state.ends[instance, default: 0] += 1
            state.running[instance.vm]?[host] = nil
            let orders = ["stop", "destroy"].map { Arrival(host: host, label: $0, instance: instance) }
            return orders.contains { state.arrivals[$0] != nil }
                ? nil : "\(instance) was ended on \(host), and nobody asked for that epoch's end"
        }
        if let wrong { violated(wrong) }
    }

    // MARK: What is known of them

    /// The hosts that run the VM's domain, with its epoch.
    func homes(of vm: String) -> [String: Int64] {
        let homes = state.withLock { $0.running[VMID(trusted: vm)] ?? [:] }
        return homes.mapValues(\.rawValue)
    }

    /// The VMs of which some host runs a domain.
    var running: Set<String> {
        Set(state.withLock { state in state.running.filter { !$0.value.isEmpty }.keys.map(\.rawValue) })
    }

    func arrivals(of label: String, _ vm: String, _ epoch: Int64, at host: String) -> Int {
        state.withLock { $0.arrivals[Self.arrival(label, vm, epoch, host)] ?? 0 }
    }

    func refusals(of label: String, _ vm: String, _ epoch: Int64, at host: String) -> [FaultCode] {
        state.withLock { $0.refusals[Self.arrival(label, vm, epoch, host)] ?? [] }
    }

    /// How often a domain was started and ended, and how many commands came and were refused.
    var counts: (starts: Int, ends: Int, commands: Int, refusals: Int) {
        state.withLock { state in
            (
                state.starts.values.reduce(0, +), state.ends.values.reduce(0, +), state.arrivals.values.reduce(0, +),
                state.refusals.values.reduce(0) { $0 + $1.count }
            )
        }
    }

    private static func arrival(of command: HostCommand, at host: String) -> Arrival {
        Arrival(host: host, label: command.label, instance: Instance(vm: command.vm, epoch: command.epoch))
    }

    private static func arrival(_ label: String, _ vm: String, _ epoch: Int64, _ host: String) -> Arrival {
        Arrival(host: host, label: label, instance: Instance(vm: VMID(trusted: vm), epoch: Epoch(epoch)))
    }
}
