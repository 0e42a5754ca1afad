import APIContract
import ControlPlane
import Domain

extension OrphanResource {
    init(_ orphan: Orphan) {
        let state: String? =
            switch orphan.domain?.seen.state {
            case .running: "running"
            case .paused: "paused"
            case .starting: "starting"
            case .moving: "moving"
            case .gone: "gone"
            case nil: nil
            }
        self.init(
            kind: orphan.kind.rawValue, vm: orphan.vm.rawValue, epoch: orphan.epoch?.rawValue,
            name: orphan.domain?.name, state: state, cpus: orphan.domain?.cpus, memory: orphan.domain?.memory,
            bytes: orphan.bytes, reason: orphan.reason.rawValue, why: orphan.reason.sentence)
    }

    static let shape = ResourceShape<OrphanResource>(
        "Orphan",
        [
            .text("kind", "What it is.", oneOf: Orphan.Kind.allCases.map(\.rawValue)) { $0.kind },
            .text("vm", "The id of the VM that it was made for.", format: "uuid") { $0.vm },
            .optionalInteger("epoch", "What a removal has to name; null if a domain's cannot be read.") { $0.epoch },
            .optionalText("name", "A domain's name in libvirt.") { $0.name },
            .optionalText("state", "A domain's state.") { $0.state },
            .optionalInteger("cpus", "A domain's virtual CPUs.") { $0.cpus.map(Int64.init) },
            .optionalInteger("memory", "A domain's memory in MiB.") { $0.memory.map(Int64.init) },
            .optionalInteger("bytes", "The size of files.") { $0.bytes },
            .text("reason", "Why no record owns it.", oneOf: Orphan.Reason.allCases.map(\.rawValue)) { $0.reason },
            .text("why", "The reason in a sentence.") { $0.why },
        ])
}
