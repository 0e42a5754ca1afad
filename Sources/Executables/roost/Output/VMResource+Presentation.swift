import APIContract

extension VMResource {
    /// Whether only what is left of it is there.
    var isDestroyed: Bool { state == "destroyed" || state == "expunging" }

    /// The state, with what it waits for, why it ended, and where a domain is that should not be.
    func stateText(_ names: NameBook) -> String {
        var text = state
        if let waitingFor {
            text += " (waits for \(names[waitingFor.host]): \(waitingFor.reason))"
        } else if let destination {
            text += " (to \(names[destination]))"
        } else if let stopCause, stopCause != "requested" {
            text += " (\(stopCause))"
        } else if let expungeAt {
            text += " (kept until \(expungeAt))"
        }
        if !conflicts.isEmpty {
            text += " CONFLICT: " + conflicts.map { "\($0.state) on \(names[$0.host])" }.joined(separator: ", ")
        }
        for parked in needsAttention { text += " NEEDS ATTENTION: \(parked.kind) \(parked.job)" }
        return text
    }

    static func columns(_ names: NameBook, _ age: Age) -> [Column<VMResource>] {
        [
            Column("NAME") { $0.name },
            Column("STATE") { $0.stateText(names) },
            Column("HOST") { names[$0.host] },
            Column("CPUS") { String($0.cpus) },
            Column("MEMORY") { "\($0.memory) MiB" },
            Column("IMAGE") { names[$0.image] },
            Column("EPOCH", isWide: true) { String($0.epoch) },
            Column("LAST HOST", isWide: true) { names[$0.lastHost] },
            Column("OPERATION", isWide: true) { $0.operation ?? "" },
            Column("LABELS", isWide: true) { LabelText.line($0.labels) },
            Column("ID", isWide: true) { $0.id },
            Column("AGE") { age.since($0.createdAt) },
        ]
    }

    func facts(_ names: NameBook) -> [(name: String, value: String)] {
        var facts = [
            (name: "name", value: name), (name: "id", value: id), (name: "state", value: state),
        ]
        if let stopCause { facts.append((name: "ended by", value: stopCause)) }
        if let waitingFor {
            facts.append((name: "waits for", value: "\(names[waitingFor.host]): \(waitingFor.reason)"))
        }
        if let destination { facts.append((name: "moves to", value: names[destination])) }
        if let expungeAt { facts.append((name: "kept until", value: expungeAt)) }
        for conflict in conflicts { facts.append((name: "CONFLICT", value: conflict.text(names))) }
        for parked in needsAttention {
            facts.append((name: "NEEDS ATTENTION", value: "\(parked.kind) \(parked.job): \(parked.error)"))
            facts.append((name: "hint", value: parked.hint))
        }
        facts += [
            (name: "host", value: names[host]), (name: "last host", value: names[lastHost]),
            (name: "epoch", value: String(epoch)), (name: "cpus", value: String(cpus)),
            (name: "memory", value: "\(memory) MiB"), (name: "image", value: names[image]),
            (name: "labels", value: LabelText.line(labels)),
        ]
        return facts + placement.facts + [
            (name: "operation", value: operation ?? ""), (name: "revision", value: String(revision)),
            (name: "created", value: createdAt), (name: "updated", value: updatedAt),
        ]
    }
}

extension DomainSighting {
    /// Where a domain is seen that should not be there.
    func text(_ names: NameBook) -> String {
        "\(state) on \(names[host]) with epoch \(epoch), seen \(seenAt)"
    }
}
