import APIContract

extension GCJobResource {
    var isEnded: Bool { endedAt != nil }

    /// What a dry run found, a line each.
    func rehearsal(_ what: String) -> [String] {
        ["Nothing was changed. GC job \(id) would be \(what):"] + (wouldHappen ?? []).map { "  - " + $0 }
    }

    static func columns(_ names: NameBook, _ age: Age) -> [Column<GCJobResource>] {
        [
            Column("ID") { $0.id },
            Column("KIND") { $0.kind },
            Column("VM") { names[$0.vm] },
            Column("HOST") { names[$0.host] },
            Column("EPOCH") { String($0.epoch) },
            Column("STATE") { $0.state },
            Column("OUTCOME") { $0.outcome ?? "" },
            Column("ATTEMPTS") { String($0.attempts) },
            Column("NEXT") { $0.isEnded ? "" : age.until($0.nextAttemptAt) },
            Column("LAST ERROR", isWide: true) { $0.lastError ?? "" },
            Column("OWNER", isWide: true) { $0.owner ?? "" },
            Column("AGE") { age.since($0.createdAt) },
        ]
    }

    func facts(_ names: NameBook) -> [(name: String, value: String)] {
        [
            (name: "id", value: id), (name: "kind", value: kind), (name: "vm", value: names[vm]),
            (name: "host", value: names[host]), (name: "epoch", value: String(epoch)),
            (name: "mode", value: mode ?? ""), (name: "state", value: state),
            (name: "outcome", value: outcome ?? ""), (name: "attempts", value: String(attempts)),
            (name: "first error", value: firstError ?? ""), (name: "first error at", value: firstErrorAt ?? ""),
            (name: "last error", value: lastError ?? ""), (name: "last error at", value: lastErrorAt ?? ""),
            (name: "next attempt", value: nextAttemptAt ?? ""),
            (name: "owner", value: owner ?? ""), (name: "revision", value: String(revision)),
            (name: "created", value: createdAt), (name: "updated", value: updatedAt),
            (name: "ended", value: endedAt ?? ""),
        ]
    }
}

extension GCJobExplanation {
    /// The explanation as paragraphs.
    func text(_ names: NameBook) -> String {
        var lines = ["\(job.kind) of \(names[job.vm]) on \(names[job.host]), epoch \(job.epoch): \(job.state)"]
        lines += ["", "What it does: \(doing)"]
        if !waitsBecause.isEmpty { lines += ["Why it waits: \(waitsBecause)"] }
        if let first = job.firstError { lines += ["First error, \(job.firstErrorAt ?? ""): \(first)"] }
        if let last = job.lastError { lines += ["Last error, \(job.lastErrorAt ?? ""): \(last)"] }
        for (heading, items) in [
            ("What wakes it", wokenBy), ("What would cancel it", cancelledBy), ("Its steps", steps),
        ] where !items.isEmpty {
            lines += ["", heading + ":"] + items.map { "  - " + $0 }
        }
        return lines.map { TerminalText.visible($0) + "\n" }.joined()
    }
}

extension OperationResource {
    static func columns(_ names: NameBook, _ age: Age) -> [Column<OperationResource>] {
        [
            Column("ID") { $0.id },
            Column("KIND") { $0.kind },
            Column("VM") { names[$0.vm] },
            Column("HOST") { names[$0.host] },
            Column("STATE") { $0.state },
            Column("OUTCOME") { $0.outcome ?? "" },
            Column("EPOCH", isWide: true) { String($0.epoch) },
            Column("ATTEMPTS", isWide: true) { String($0.attempts) },
            Column("BY", isWide: true) { $0.requestedBy },
            Column("ERROR", isWide: true) { $0.error?.detail ?? "" },
            Column("AGE") { age.since($0.createdAt) },
        ]
    }

    func facts(_ names: NameBook) -> [(name: String, value: String)] {
        var facts = [
            (name: "id", value: id), (name: "kind", value: kind), (name: "vm", value: names[vm]),
            (name: "host", value: names[host]), (name: "epoch", value: String(epoch)), (name: "state", value: state),
            (name: "outcome", value: outcome ?? ""), (name: "progress", value: progress ?? ""),
        ]
        if let destination { facts.append((name: "destination", value: names[destination])) }
        if let drain {
            facts.append((name: "left", value: "\(drain.departed) of \(drain.total)"))
            facts += drain.vms.map { (name: "", value: $0.text(names)) }
        }
        if let transfer { facts.append((name: "copied", value: transfer.text)) }
        if let error {
            facts.append((name: "error", value: "\(error.detail) (\(error.code))"))
            if let hint = error.hint { facts.append((name: "hint", value: hint)) }
        }
        return facts + [
            (name: "attempts", value: String(attempts)),
            (name: "first error", value: firstError ?? ""), (name: "first error at", value: firstErrorAt ?? ""),
            (name: "last error", value: lastError ?? ""), (name: "last error at", value: lastErrorAt ?? ""),
            (name: "requested by", value: requestedBy),
            (name: "revision", value: String(revision)), (name: "created", value: createdAt),
            (name: "updated", value: updatedAt), (name: "ended", value: endedAt ?? ""),
        ]
    }
}

extension EventResource {
    static func columns(_ names: NameBook) -> [Column<EventResource>] {
        [
            Column("ID") { String($0.id) },
            Column("AT") { $0.at },
            Column("KIND") { $0.kind },
            Column("VM", isWide: true) { names[$0.vm] },
            Column("HOST", isWide: true) { names[$0.host] },
            Column("EPOCH", isWide: true) { $0.epoch.map { String($0) } ?? "" },
            Column("BY", isWide: true) { $0.principal },
            Column("MESSAGE") { $0.message },
        ]
    }
}

extension Transfer {
    /// How far a move has come, for people.
    var text: String {
        func mebibytes(_ bytes: Int64) -> Int64 { bytes >> 20 }
        return "\(percent) % (\(mebibytes(bytesProcessed)) MiB copied, \(mebibytes(bytesRemaining)) MiB to go)"
    }
}
