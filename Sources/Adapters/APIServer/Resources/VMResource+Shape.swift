import APIContract
import Domain

extension VMResource {
    static let shape = ResourceShape<VMResource>(
        "VM",
        [
            .text("id", "The VM's id.", format: "uuid") { $0.id },
            .text("name", "Unique among VMs that are neither destroyed nor being expunged.") { $0.name },
            .text("state", "Where the VM is in its life.", oneOf: VMState.Label.allCases.map(\.rawValue)) { $0.state },
            .optionalText(
                "stopCause", "Why the domain ended, for `stopped` and `crashed`.",
                oneOf: StopCause.allCases.map(\.rawValue)
            ) { $0.stopCause },
            .optionalText("host", "The id of the only host on which the VM's domain may exist.", format: "uuid") {
                $0.host
            },
            .optionalText("lastHost", "The id of the host of the latest placement.", format: "uuid") { $0.lastHost },
            .optionalText("destination", "The id of the host that it moves to.", format: "uuid") { $0.destination },
            .integer("epoch", "Counts starts and moves; 0 before the first start.") { $0.epoch },
            .integer("cpus", "Virtual CPUs.") { Int64($0.cpus) },
            .integer("memory", "MiB.") { Int64($0.memory) },
            .text("image", "The id of the image.", format: "uuid") { $0.image },
            .optionalText("operation", "The id of the operation that is under way.", format: "uuid") { $0.operation },
            .optionalOne("waitingFor", WaitingFor.shape) { $0.waitingFor },
            .optionalText(
                "expungeAt", "Until when a destroyed VM is kept and can be recovered.", format: "date-time"
            ) { $0.expungeAt },
            .list("conflicts", DomainSighting.shape) { $0.conflicts },
            .list("needsAttention", ParkedJob.shape) { $0.needsAttention },
            .labels("labels", "What people say of it.") { $0.labels },
            .one("placement", PlacementRulesResource.shape) { $0.placement },
            .integer("revision", "Rises with every change; also the ETag.") { Int64($0.revision) },
            .text("createdAt", "When it was recorded.", format: "date-time") { $0.createdAt },
            .text("updatedAt", "When it last changed.", format: "date-time") { $0.updatedAt },
        ])
}

extension WaitingFor {
    static let shape = ResourceShape<WaitingFor>(
        "WaitingFor",
        [
            .text("host", "The id of the host that has to answer, or to be fenced.", format: "uuid") { $0.host },
            .text("reason", "Why it cannot settle the state now.", oneOf: WaitReason.allCases.map(\.rawValue)) {
                $0.reason
            },
        ])
}

extension ParkedJob {
    static let shape = ResourceShape<ParkedJob>(
        "ParkedJob",
        [
            .text("job", "The id of the GC job or operation.", format: "uuid") { $0.job },
            .text("kind", "What it is to do.") { $0.kind },
            .text("host", "The id of the host that it is about.", format: "uuid") { $0.host },
            .text("error", "Why it is not tried again.") { $0.error },
            .text("hint", "What makes it go on, or ends it.") { $0.hint },
        ])
}

extension DomainSighting {
    static let shape = ResourceShape<DomainSighting>(
        "DomainSighting",
        [
            .text("vm", "The VM's id, from the domain's metadata.", format: "uuid") { $0.vm },
            .text("host", "The id of the host that shows it.", format: "uuid") { $0.host },
            .integer("epoch", "The domain's epoch.") { $0.epoch },
            .text("state", "The domain's state.") { $0.state },
            .text("seenAt", "When it was last seen.", format: "date-time") { $0.seenAt },
        ])
}
