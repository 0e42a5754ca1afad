import APIContract
import ControlPlane
import Domain

extension PlacementResource {
    init(_ verdicts: [PlacementVerdict]) {
        self.init(
            host: verdicts.first.flatMap { $0.refusal == nil ? $0.candidate.host.id.rawValue : nil },
            hosts: verdicts.map { PlacementHost($0) })
    }

    static let shape = ResourceShape<PlacementResource>(
        "Placement",
        [
            .optionalText("host", "The host that would be chosen; null if none can take the VM.", format: "uuid") {
                $0.host
            },
            .list("hosts", PlacementHost.shape) { $0.hosts },
        ])
}

extension PlacementHost {
    fileprivate init(_ verdict: PlacementVerdict) {
        let candidate = verdict.candidate
        self.init(
            id: candidate.host.id.rawValue, name: candidate.host.name, fits: verdict.refusal == nil,
            freeCPUs: candidate.freeCPUs, freeMemory: candidate.freeMemory,
            score: PlacementScoreResource(
                freeMemory: candidate.score.freeMemory, freeCPUs: candidate.score.freeCPUs),
            code: verdict.refusal?.code.rawValue, reason: verdict.refusal?.message)
    }

    static let shape = ResourceShape<PlacementHost>(
        "PlacementHost",
        [
            .text("id", "The host's id.", format: "uuid") { $0.id },
            .text("name", "The host's name.") { $0.name },
            .flag("fits", "Whether it can take the VM.") { $0.fits },
            .integer(
                "freeCPUs", "Virtual CPUs that can still be handed out; below zero where more is placed than may be."
            ) { Int64($0.freeCPUs) },
            .integer("freeMemory", "The same in MiB.") { Int64($0.freeMemory) },
            .one("score", PlacementScoreResource.shape) { $0.score },
            .optionalText("code", "Which filter refuses it: a problem's code.") { $0.code },
            .optionalText("reason", "Why it cannot take the VM.") { $0.reason },
        ])
}

extension PlacementScoreResource {
    fileprivate static let shape = ResourceShape<PlacementScoreResource>(
        "PlacementScore",
        [
            .integer("freeMemory", "Thousandths of the memory that can be handed out; the highest wins.") {
                Int64($0.freeMemory)
            },
            .integer("freeCPUs", "Thousandths of the virtual CPUs that can be handed out; decides among equals.") {
                Int64($0.freeCPUs)
            },
        ])
}

extension PlacementRulesResource {
    init(_ rules: PlacementRules) {
        self.init(
            hostLabels: rules.hostLabels.values, affinity: rules.affinity.values,
            antiAffinity: rules.antiAffinity.values)
    }

    static let shape = ResourceShape<PlacementRulesResource>(
        "PlacementRules",
        [
            .labels("hostLabels", "Labels that the host must have.") { $0.hostLabels },
            .labels("affinity", "While other VMs with the label are placed, only hosts that hold one of them will do.")
            {
                $0.affinity
            },
            .labels(
                "antiAffinity",
                "A host that holds another VM with the label will not do, nor may such a VM join this one."
            ) { $0.antiAffinity },
        ])
}
