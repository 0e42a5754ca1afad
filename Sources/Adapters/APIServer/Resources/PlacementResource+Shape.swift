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
        let host = verdict.candidate.host
        self.init(
            id: host.id.rawValue, name: host.name, fits: verdict.refusal == nil,
            freeMemory: verdict.candidate.freeMemory, reason: verdict.refusal?.message)
    }

    fileprivate static let shape = ResourceShape<PlacementHost>(
        "PlacementHost",
        [
            .text("id", "The host's id.", format: "uuid") { $0.id },
            .text("name", "The host's name.") { $0.name },
            .flag("fits", "Whether it can take the VM.") { $0.fits },
            .integer("freeMemory", "MiB that no placement holds.") { Int64($0.freeMemory) },
            .optionalText("reason", "Why it cannot take the VM.") { $0.reason },
        ])
}
