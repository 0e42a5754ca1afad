import APIContract
import ControlPlane
import Domain

extension DrainResource {
    init(_ progress: DrainProgress) {
        self.init(
            departed: progress.departed, total: progress.total,
            vms: progress.guests.map { guest in
                DrainedVM(
                    id: guest.vm.rawValue, name: guest.name, stage: guest.stage.rawValue,
                    target: guest.target?.rawValue, operation: guest.work?.rawValue, code: guest.fault?.code.rawValue,
                    reason: guest.fault?.message)
            })
    }

    static let shape = ResourceShape<DrainResource>(
        "Drain",
        [
            .integer("departed", "How many VMs have left the host since the drain was asked for.") {
                Int64($0.departed)
            },
            .integer("total", "Those, and the ones that are still placed there.") { Int64($0.total) },
            .list("vms", DrainedVM.shape) { $0.vms },
        ])
}

extension DrainedVM {
    static let shape = ResourceShape<DrainedVM>(
        "DrainedVM",
        [
            .text("id", "The VM's id.", format: "uuid") { $0.id },
            .text("name", "The VM's name.") { $0.name },
            .text("stage", "How far it is.", oneOf: DrainedGuest.Stage.allCases.map(\.rawValue)) { $0.stage },
            .optionalText("target", "The id of the host that it moves to.", format: "uuid") { $0.target },
            .optionalText("operation", "The id of the move or stop that the drain asked for.", format: "uuid") {
                $0.operation
            },
            .optionalText("code", "Why it stays for now: a problem's code.") { $0.code },
            .optionalText("reason", "The same in words.") { $0.reason },
        ])
}

extension DrainPlanResource {
    init(_ preview: DrainPreview) {
        self.init(host: preview.host.id.rawValue, vms: preview.plan.items.map { PlannedVM($0) })
    }

    static let shape = ResourceShape<DrainPlanResource>(
        "DrainPlan",
        [
            .text("host", "The host's id.", format: "uuid") { $0.host },
            .list("vms", PlannedVM.shape) { $0.vms },
        ])
}

extension PlannedVM {
    fileprivate enum Word: String, CaseIterable { case moves, leaves, immovable, waits }

    fileprivate init(_ item: DrainPlan.Item) {
        let word: Word
        var target: HostID?
        var why: Fault?
        switch item.verdict {
        case .moves(let host): (word, target) = (.moves, host.id)
        case .leaves(let host): (word, target) = (.leaves, host)
        case .immovable(let fault): (word, why) = (.immovable, fault)
        case .waits(let fault): (word, why) = (.waits, fault)
        }
        self.init(
            id: item.vm.id.rawValue, name: item.vm.name, state: item.vm.state.label.rawValue, cpus: item.vm.cpus,
            memory: item.vm.memory, verdict: word.rawValue, target: target?.rawValue, code: why?.code.rawValue,
            reason: why?.message)
    }

    static let shape = ResourceShape<PlannedVM>(
        "PlannedVM",
        [
            .text("id", "The VM's id.", format: "uuid") { $0.id },
            .text("name", "The VM's name.") { $0.name },
            .text("state", "The VM's state.", oneOf: VMState.Label.allCases.map(\.rawValue)) { $0.state },
            .integer("cpus", "Its virtual CPUs.") { Int64($0.cpus) },
            .integer("memory", "MiB.") { Int64($0.memory) },
            .text(
                "verdict",
                "`moves`: it can go to the target. `leaves`: it goes already. `immovable`: nothing can take it; it is "
                    + "stopped if that is wanted. `waits`: nothing can be done with it for now.",
                oneOf: Word.allCases.map(\.rawValue)
            ) { $0.verdict },
            .optionalText("target", "The id of the host that it moves to.", format: "uuid") { $0.target },
            .optionalText("code", "What keeps it: a problem's code.") { $0.code },
            .optionalText("reason", "The same in words.") { $0.reason },
        ])
}
