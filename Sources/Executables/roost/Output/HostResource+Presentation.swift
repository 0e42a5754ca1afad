import APIContract

extension HostResource {
    static func columns(_ age: Age) -> [Column<HostResource>] {
        [
            Column("NAME") { $0.name },
            Column("STATE") { $0.state },
            Column("CONNECTION") { $0.connectionText },
            Column("CPUS") { $0.share(\.cpus) },
            Column("MEMORY MiB") { $0.share(\.memory) },
            Column("HYPERVISOR") { $0.hypervisor?.domainType ?? "" },
            Column("SESSION", isWide: true) { String($0.session) },
            Column("NODE", isWide: true) { $0.node ?? "" },
            Column("AGENT", isWide: true) { $0.agentVersion ?? "" },
            Column("LAST SEEN", isWide: true) { age.since($0.lastSeenAt) },
            Column("LABELS", isWide: true) { LabelText.line($0.labels) },
            Column("ID", isWide: true) { $0.id },
            Column("AGE") { age.since($0.createdAt) },
        ]
    }

    /// Allocated of what can be.
    private func share(_ quantity: KeyPath<HostCapacity, Int>) -> String {
        let all = allocatable.map { String($0[keyPath: quantity]) } ?? "?"
        return "\(allocated[keyPath: quantity])/\(all)"
    }

    /// Allocated, what can be allocated, and what the host has.
    private func usage(_ quantity: KeyPath<HostCapacity, Int>, _ unit: String, of own: String) -> String {
        let all = capacity.map { "; the host has \($0[keyPath: quantity]) \(own)" } ?? ""
        return "\(share(quantity)) \(unit) allocated\(all)"
    }

    /// Only an agent that is connected says how it is now.
    private var libvirtText: String {
        connection != "connected" ? "not known now" : libvirtAnswers ? "answers" : "does not answer"
    }

    private var connectionText: String {
        var text = connection
        if connection == "connected", !libvirtAnswers { text += " (libvirt does not answer)" }
        if !sightings.isEmpty { text += " CONFLICT: \(sightings.count) domains nobody owns" }
        return text
    }

    func facts(_ names: NameBook) -> [(name: String, value: String)] {
        var facts = [
            (name: "name", value: name), (name: "id", value: id), (name: "state", value: state),
            (name: "connection", value: connection),
            (name: "libvirt", value: libvirtText),
        ]
        for sighting in sightings {
            facts.append(
                (
                    name: "CONFLICT",
                    value: "domain of \(names[sighting.vm]), \(sighting.state), epoch \(sighting.epoch), seen "
                        + sighting.seenAt
                ))
        }
        if let hypervisor {
            facts += [
                (name: "hypervisor", value: "\(hypervisor.domainType): \(hypervisor.reason)"),
                (name: "versions", value: "libvirt \(hypervisor.libvirtVersion), QEMU \(hypervisor.qemuVersion)"),
            ]
        }
        facts += [
            (name: "cpus", value: usage(\.cpus, "virtual CPUs", of: "CPUs")),
            (name: "memory", value: usage(\.memory, "MiB", of: "MiB")),
            (name: "labels", value: LabelText.line(labels)),
            (name: "agent", value: agentVersion ?? ""), (name: "session", value: String(session)),
            (name: "node", value: node ?? ""), (name: "last seen", value: lastSeenAt ?? ""),
            (name: "boot", value: bootID ?? ""), (name: "pool", value: pool ?? ""),
        ]
        if let fencedAt { facts.append((name: "fenced", value: fencedAt)) }
        if let deletedAt { facts.append((name: "deleted", value: deletedAt)) }
        return facts + [
            (name: "revision", value: String(revision)), (name: "created", value: createdAt),
            (name: "updated", value: updatedAt),
        ]
    }
}
