import APIContract
import Domain

extension OperationResource {
    static let shape = ResourceShape<OperationResource>(
        "Operation",
        [
            .text("id", "The operation's id.", format: "uuid") { $0.id },
            .text("kind", "What was asked for: \(kinds(JobKind.operations)).") { $0.kind },
            .optionalText("vm", "The VM's id; null for work on a whole host.", format: "uuid") { $0.vm },
            .optionalText("host", "The host's id.", format: "uuid") { $0.host },
            .optionalText("destination", "The id of the host that a move leads to.", format: "uuid") {
                $0.destination
            },
            .integer("epoch", "The VM's epoch that it is about.") { $0.epoch },
            .text(
                "state", "How far it is.",
                oneOf: ["pending", "running", JobState.parkedLabel] + JobEnd.Verdict.allCases.map(\.rawValue)
            ) { $0.state },
            .optionalText("outcome", "What came of it.", oneOf: JobOutcome.allCases.map(\.rawValue)) { $0.outcome },
            .optionalText("progress", "What it does or waits for.") { $0.progress },
            .optionalOne("transfer", Transfer.shape) { $0.transfer },
            .optionalOne("drain", DrainResource.shape) { $0.drain },
            .optionalOne("error", Problem.shape) { $0.error },
            .integer("attempts", "How often it was taken up.") { Int64($0.attempts) },
            .optionalText("firstError", "What the first attempt that did not finish ran into.") { $0.firstError },
            .optionalText("firstErrorAt", "When that was.", format: "date-time") { $0.firstErrorAt },
            .optionalText("lastError", "What the latest attempt that did not finish ran into.") { $0.lastError },
            .optionalText("lastErrorAt", "When that was.", format: "date-time") { $0.lastErrorAt },
            .text("requestedBy", "Who asked for it.") { $0.requestedBy },
            .integer("revision", "Rises with every change; also the ETag.") { Int64($0.revision) },
            .text("createdAt", "When it was accepted.", format: "date-time") { $0.createdAt },
            .text("updatedAt", "When it last changed.", format: "date-time") { $0.updatedAt },
            .optionalText("endedAt", "When it ended.", format: "date-time") { $0.endedAt },
        ])
}

extension Transfer {
    static let shape = ResourceShape<Transfer>(
        "Transfer",
        [
            .integer("percent", "How much of it need not be copied any more; it can fall.") { Int64($0.percent) },
            .integer("bytesProcessed", "Bytes copied so far, some of them more than once.") { $0.bytesProcessed },
            .integer("bytesTotal", "Bytes of memory and disk.") { $0.bytesTotal },
            .integer("bytesRemaining", "Bytes still to be copied.") { $0.bytesRemaining },
        ])
}

extension GCJobResource {
    static let shape = ResourceShape<GCJobResource>(
        "GCJob",
        [
            .text("id", "The job's id.", format: "uuid") { $0.id },
            .text("kind", "What is left to do: \(kinds(JobKind.gcJobs)).") { $0.kind },
            .text("vm", "The VM's id.", format: "uuid") { $0.vm },
            .text("host", "The id of the host on which it is to be done.", format: "uuid") { $0.host },
            .integer("epoch", "The epoch of the domain that it is about, and of no other.") { $0.epoch },
            .optionalText("mode", "How hard a stop is.", oneOf: StopMode.allCases.map(\.rawValue)) { $0.mode },
            .text("state", "How far it is.", oneOf: ["waiting", "running", JobState.parkedLabel, "done", "cancelled"]) {
                $0.state
            },
            .optionalText("outcome", "What came of it.", oneOf: JobOutcome.allCases.map(\.rawValue)) { $0.outcome },
            .integer("attempts", "How often it was taken up.") { Int64($0.attempts) },
            .optionalText("firstError", "What the first attempt that did not finish ran into.") { $0.firstError },
            .optionalText("firstErrorAt", "When that was.", format: "date-time") { $0.firstErrorAt },
            .optionalText("lastError", "What the latest attempt that did not finish ran into.") { $0.lastError },
            .optionalText("lastErrorAt", "When that was.", format: "date-time") { $0.lastErrorAt },
            .optionalText("nextAttemptAt", "When it is tried next, at the latest.", format: "date-time") {
                $0.nextAttemptAt
            },
            .optionalText("owner", "The node that works on it.") { $0.owner },
            .integer("revision", "Rises with every change; also the ETag.") { Int64($0.revision) },
            .text("createdAt", "When it was written.", format: "date-time") { $0.createdAt },
            .text("updatedAt", "When it last changed.", format: "date-time") { $0.updatedAt },
            .optionalText("endedAt", "When it ended.", format: "date-time") { $0.endedAt },
            .optionalTexts("wouldHappen", "Only after a dry run: what would happen.") { $0.wouldHappen }
                .leftOutWhenAbsent,
        ])
}

extension GCJobExplanation {
    static let shape = ResourceShape<GCJobExplanation>(
        "GCJobExplanation",
        [
            .one("job", GCJobResource.shape) { $0.job },
            .text("doing", "What it will do.") { $0.doing },
            .text("waitsBecause", "Why it is not done yet.") { $0.waitsBecause },
            .texts("wokenBy", "What makes it go on.") { $0.wokenBy },
            .texts("cancelledBy", "What would end it without effect.") { $0.cancelledBy },
            .texts("steps", "The steps that are done.") { $0.steps },
        ])
}

/// The names of kinds that this release knows; a row of another release can have one of its own.
private func kinds(_ known: [JobKind]) -> String {
    known.map { "`\($0.label)`" }.joined(separator: ", ") + "; one of another name is a newer release's"
}
