import APIClient
import APIContract
import ArgumentParser

/// The whole fleet at a glance: what is there, what waits, what is wrong.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the state of the fleet: what is there, what waits, what is wrong.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.run(connection, output) { session in
            async let version = session.client.version()
            async let hosts = session.client.hosts()
            async let vms = session.client.vms()
            async let jobs = session.client.gcJobs()
            async let nodes = session.client.nodes()
            async let recovery = session.client.recovery()
            var operations: [OperationResource] = []
            for state in ["pending", "running", "needs-attention"] {
                operations += try await session.client.operations(state: state, limit: 500).items
            }
            let age = Age(serverTime: try await nodes.serverTime)
            let status = FleetStatus(
                server: session.client.access.address, version: try await version.value.version,
                hosts: try await hosts.items, vms: try await vms.items.filter { !$0.isDestroyed },
                jobs: try await jobs.items.filter { !$0.isEnded }, nodes: try await nodes.value.items,
                recovery: try await recovery.value.state,
                slow: operations.filter { $0.state == "needs-attention" || age.seconds(since: $0.createdAt) >= 60 },
                age: age)
            switch session.printer.format {
            case .table, .wide: try session.printer.output.write(Table.render(facts: status.facts))
            case .json, .yaml: try session.printer.document(status.document.text)
            case .name: try session.printer.line(status.server)
            }
        }
    }
}

/// What `roost status` shows.
struct FleetStatus {
    let server: String
    let version: String
    let hosts: [HostResource]
    /// VMs that are neither destroyed nor being expunged.
    let vms: [VMResource]
    /// GC jobs that have not ended.
    let jobs: [GCJobResource]
    var nodes: [NodeResource] = []
    /// `acting` or `observing`.
    var recovery = "acting"
    /// Operations that need attention, or have been under way for a minute.
    var slow: [OperationResource] = []
    var age = Age(serverTime: nil)

    private var names: NameBook {
        NameBook(Dictionary(hosts.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first }))
    }

    var facts: [(name: String, value: String)] {
        let connections = Self.counts(hosts.map(\.connection)).map { "\($0.value) \($0.key)" }
        let states = Self.counts(vms.map(\.state)).map { "\($0.value) \($0.key)" }
        var facts = [
            (name: "server", value: "\(server), version \(version)"),
            (name: "hosts", value: Self.total(hosts.count, connections)),
            (name: "vms", value: Self.total(vms.count, states)),
            (name: "gc jobs", value: "\(jobs.count) not ended"),
        ]
        if recovery != "acting" {
            facts.append((name: "OBSERVING", value: "restored records wait to be accepted: see 'roost recover'"))
        }
        for node in nodes { facts.append((name: "node", value: node.text(age))) }
        for node in nodes where node.waitingErrands > 0 {
            let since = age.since(node.errandsSince)
            facts.append(
                (name: "STUCK", value: "\(node.waitingErrands) questions for node \(node.name), for \(since)"))
        }
        for operation in slow { facts.append((name: "STUCK", value: text(of: operation))) }
        let shown = Set(vms.flatMap(\.needsAttention).map(\.job))
        for job in jobs where job.state == "needs-attention" && !shown.contains(job.id) {
            facts.append((name: "PARKED", value: "\(job.kind) \(job.id): \(job.lastError ?? "see roost gc explain")"))
        }
        for host in hosts where host.connection == "connected" && !host.libvirtAnswers {
            facts.append((name: "WAITING", value: "libvirt on \(host.name) does not answer"))
        }
        for vm in vms where vm.waitingFor != nil || !vm.conflicts.isEmpty || !vm.needsAttention.isEmpty {
            facts.append(
                (
                    name: !vm.conflicts.isEmpty ? "CONFLICT" : vm.needsAttention.isEmpty ? "WAITING" : "PARKED",
                    value: "\(vm.name) \(vm.stateText(names))"
                ))
        }
        return facts
    }

    /// What is under way for long, and what it waits for as far as it is known.
    private func text(of operation: OperationResource) -> String {
        let vm = vms.first { $0.id == operation.vm }?.name ?? operation.vm
        let subject = vm ?? names[operation.host]
        let because = operation.lastError.map { ": \($0)" } ?? ""
        let state = operation.state == "needs-attention" ? "needs attention" : operation.state
        return "\(operation.kind) \(subject) \(state) for \(age.since(operation.createdAt)) "
            + "(operation \(operation.id))\(because)"
    }

    /// The same as JSON. Composed here, of several of the API's answers.
    var document: JSONValue {
        .object([
            ("server", .string(server)), ("version", .string(version)), ("state", .string(recovery)),
            (
                "nodes",
                .array(
                    nodes.map { node in
                        .object([
                            ("name", .string(node.name)), ("version", .string(node.version)),
                            ("lag", node.lag.map { .number(String($0)) } ?? .null),
                            ("sessions", .number(String(node.hosts.count))),
                            ("waitingErrands", .number(String(node.waitingErrands))),
                        ])
                    })
            ),
            ("slowOperations", .array(slow.map { .string($0.id) })),
            ("hosts", Self.object(Self.counts(hosts.map(\.connection)))),
            ("vms", Self.object(Self.counts(vms.map(\.state)))),
            ("gcJobs", Self.object(Self.counts(jobs.map(\.state)))),
            ("waiting", .array(vms.filter { $0.waitingFor != nil }.map { .string($0.name) })),
            ("conflicts", .array(vms.filter { !$0.conflicts.isEmpty }.map { .string($0.name) })),
            ("needsAttention", .array(jobs.filter { $0.state == "needs-attention" }.map { .string($0.id) })),
        ])
    }

    private static func counts(_ words: [String]) -> [(key: String, value: Int)] {
        Dictionary(grouping: words, by: \.self).mapValues(\.count).sorted { $0.key < $1.key }
    }

    private static func total(_ count: Int, _ parts: [String]) -> String {
        parts.isEmpty ? "\(count)" : "\(count): \(parts.joined(separator: ", "))"
    }

    private static func object(_ counts: [(key: String, value: Int)]) -> JSONValue {
        .object(counts.map { ($0.key, .number(String($0.value))) })
    }
}

extension NodeResource {
    fileprivate func text(_ age: Age) -> String {
        let beat = lag.map { "heard \(Age.text(Double($0))) ago" } ?? "up for \(age.since(startedAt))"
        return "\(name), version \(version), \(beat), \(hosts.count) \(hosts.count == 1 ? "session" : "sessions")"
    }
}
