import APIContract
import ControlPlane
import Domain

extension RecoveryResource {
    init(_ report: RecoveryReport) {
        let observing = report.recovery.observing
        self.init(
            state: observing == nil ? "acting" : "observing", since: observing?.since.rfc3339,
            reason: observing?.reason, generation: report.recovery.generation,
            hosts: report.awaited.map {
                AwaitedHost(id: $0.id.rawValue, name: $0.name, lastSeenAt: $0.lastSeenAt?.rfc3339)
            },
            vms: report.vms.map { DifferingVM($0, names: report.hostNames) },
            domains: report.strays.map { DomainSighting($0) }, jobs: report.jobs.map { RestoredJob($0) })
    }

    static let shape = ResourceShape<RecoveryResource>(
        "Recovery",
        [
            .text("state", "Whether the server acts on its records.", oneOf: ["acting", "observing"]) { $0.state },
            .optionalText("since", "Since when it only observes.", format: "date-time") { $0.since },
            .optionalText("reason", "Why it only observes.") { $0.reason },
            .integer("generation", "How often restored records were accepted.") { $0.generation },
            .list("hosts", AwaitedHost.shape) { $0.hosts },
            .list("vms", DifferingVM.shape) { $0.vms },
            .list("domains", DomainSighting.shape) { $0.domains },
            .list("jobs", RestoredJob.shape) { $0.jobs },
        ])
}

extension AwaitedHost {
    static let shape = ResourceShape<AwaitedHost>(
        "AwaitedHost",
        [
            .text("id", "The host's id.", format: "uuid") { $0.id },
            .text("name", "The host's name.") { $0.name },
            .optionalText("lastSeenAt", "When it was last heard of, as the records say.", format: "date-time") {
                $0.lastSeenAt
            },
        ])
}

extension DifferingVM {
    init(_ restored: RecoveryReport.RestoredVM, names: [HostID: String]) {
        let vm = restored.vm
        func name(_ host: HostID) -> String { names[host] ?? host.rawValue }
        let seen = restored.sightings.map { "\(name($0.host)) shows it \($0.state) with epoch \($0.epoch)" }
        let shown = seen.isEmpty ? "No host shows it" : seen.joined(separator: ", ")
        let then =
            switch restored.fate {
            case .confirmed: "it is as recorded"
            case .atRest: "it stays as it is"
            case .adopted: "it is taken up there"
            case .stopped: "it is stopped"
            case .waits: "it stays unknown until every host was heard of"
            case .contested: "it is left to you: roost vm resolve \(vm.name)"
            }
        self.init(
            id: vm.id.rawValue, name: vm.name, state: vm.state.label.rawValue,
            host: vm.latestPlacement?.host.rawValue, epoch: vm.latestPlacement?.epoch.rawValue ?? 0,
            seen: restored.sightings.map { DomainSighting($0) }, fate: restored.fate.label, why: "\(shown): \(then).")
    }

    static let shape = ResourceShape<DifferingVM>(
        "DifferingVM",
        [
            .text("id", "The VM's id.", format: "uuid") { $0.id },
            .text("name", "The VM's name.") { $0.name },
            .text("state", "What the record says.", oneOf: VMState.Label.allCases.map(\.rawValue)) { $0.state },
            .optionalText("host", "The id of the host of the latest placement on record.", format: "uuid") { $0.host },
            .integer("epoch", "The epoch of that placement.") { $0.epoch },
            .list("seen", DomainSighting.shape) { $0.seen },
            .text("fate", "What accepting the records makes of it.", oneOf: RestoredFate.labels) { $0.fate },
            .text("why", "What is so, and what accepting does about it.") { $0.why },
        ])
}

extension RestoredJob {
    init(_ restored: RecoveryReport.RestoredJob) {
        let job = restored.explanation.job
        self.init(
            id: job.id.rawValue, kind: job.label, vm: job.vmIfAny?.rawValue, host: job.host.rawValue,
            epoch: job.epoch.rawValue, doing: restored.explanation.doing, fate: restored.fate.rawValue)
    }

    static let shape = ResourceShape<RestoredJob>(
        "RestoredJob",
        [
            .text("id", "The id of the GC job or operation.", format: "uuid") { $0.id },
            .text("kind", "What it is for.") { $0.kind },
            .optionalText("vm", "The id of its VM.", format: "uuid") { $0.vm },
            .text("host", "The id of its host.", format: "uuid") { $0.host },
            .integer("epoch", "The epoch that it is about.") { $0.epoch },
            .text("doing", "What it would do.") { $0.doing },
            .text(
                "fate", "What accepting the records makes of it.", oneOf: RestoredJobFate.allCases.map(\.rawValue)
            ) { $0.fate },
        ])
}
