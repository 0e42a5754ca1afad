import ControlPlane
import Domain
import HostAgent

/// Holds the records against what the machines really run.
struct Oracle {
    let world: World
    var violations: [String] = []
    private var seenCommits = -1
    private var seenRunning: [HostID: [VMID: Epoch]] = [:]

    init(world: World) { self.world = world }

    /// After every step: the laws that hold at any moment.
    mutating func look() throws {
        var running: [HostID: [VMID: Epoch]] = [:]
        for machine in world.machines.all { running[machine.id] = machine.running }
        let commits = world.commitCount
        guard commits != seenCommits || running != seenRunning else { return }
        (seenCommits, seenRunning) = (commits, running)
        var homes: [VMID: [HostID]] = [:]
        for machine in world.machines.all {
            for vm in machine.running.keys { homes[vm, default: []].append(machine.id) }
        }
        for (vm, hosts) in homes where hosts.count > 1 {
            violate("law 1: \(vm.short) runs on \(hosts.compactMap(name))")
        }
        let vms = try world.read { tx in try tx.vms(ListQuery(limit: 500)).items }
        for vm in vms where vm.state.placements.isEmpty {
            guard let hosts = homes[vm.id] else { continue }
            violate(
                "law 2: \(vm.name) \(vm.id.short) is \(vm.state.label.rawValue), and runs on \(hosts.compactMap(name))")
        }
    }

    private mutating func violate(_ what: String) {
        world.trace.note("VIOLATION \(what)")
        violations.append(what)
    }

    private func name(_ host: HostID) -> String? { world.machines.all.first { $0.id == host }?.name }

    /// At rest: every difference between the records and the machines, and all that is not ended.
    func unsettled() throws -> [String] {
        let (vms, jobs) = try world.read { tx in
            (try tx.vms(ListQuery(limit: 500)).items, try tx.jobs(ListQuery(limit: 500)).items)
        }
        var found = jobs.filter { !$0.state.isEnded }.map {
            "\($0.kind.rawValue) \($0.id) of \($0.vm.short) is not ended: \($0.lastError?.message ?? "")"
        }
        for vm in vms {
            let said = "\(vm.name) \(vm.id.short) is \(vm.state.label.rawValue) with epoch \(vm.epoch)"
            let settled: Set<VMState.Label> = [.created, .running, .paused, .stopped, .crashed, .destroyed]
            if !settled.contains(vm.state.label) || vm.operation != nil { found.append(said) }
            for machine in world.machines.all {
                let guest = machine.guests[vm.id]
                guard vm.state.placement?.host == machine.id else {
                    if let guest { found.append("\(said), and \(machine.name) has it \(guest.state) \(guest.epoch)") }
                    continue
                }
                let agrees =
                    switch vm.state.label {
                    case .running: guest?.state == .running
                    case .paused: guest?.state == .paused
                    default: false
                    }
                if !agrees || guest?.epoch != vm.state.placement?.epoch {
                    found.append(
                        "\(said) on \(machine.name), which has \(guest.map { "\($0.state) \($0.epoch)" } ?? "none")")
                }
            }
        }
        let known = Set(vms.map(\.id))
        for machine in world.machines.all {
            for vm in machine.guests.keys where !known.contains(vm) {
                found.append("\(machine.name) has \(vm.short), of which there is no record")
            }
        }
        return found
    }
}
