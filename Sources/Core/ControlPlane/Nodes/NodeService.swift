package import Domain
import Synchronization

/// This process's membership among the management nodes of its database.
///
/// A node tells by its beat that it lives. Whoever sees another's beat stand still for the lease takes that one off the
/// record, and what it held becomes free in the same transaction: its leases and its agents' sessions. A node that finds
/// itself off the record, after it was frozen or cut off, lets go of all its agents and joins anew. Until then it can do no
/// harm: its leases' tokens, its sessions' numbers and its commands' epochs are out of date.
package struct NodeService: Sendable {
    private let context: Context
    private let lease: Duration
    private let isAlone: Bool
    /// When this node could last tell that it lives.
    private let lastBeat: LastBeat

    /// - Parameters:
    ///   - lease: how long a node may be silent before the others take over what it held.
    ///   - isAlone: whether no other node can use the database, so that its agents are best off here whatever happens.
    package init(_ context: Context, lease: Duration = .seconds(10), isAlone: Bool = false) {
        self.context = context
        self.lease = lease
        self.isAlone = isAlone
        lastBeat = LastBeat(context.time.monotonic())
    }

    private var interval: Duration { lease / 5 }

    /// Joins; to be called before the node takes sessions or leases. What a former process at its place held is free.
    package func join() async throws {
        let node = context.node
        try await context.database.write("node.join") { tx in
            try tx.removeNodes(at: node.place)
            try tx.freeStranded()
            try tx.insert(
                Node(
                    id: node.id, place: node.place, name: node.name, version: node.version, startedAt: tx.now,
                    seenAt: tx.now))
        }
    }

    /// Leaves, once the node has let go of its sessions and leases.
    package func leave() async throws {
        let id = context.node.id
        try await context.database.write("node.leave") { tx in
            try tx.removeNode(id)
            try tx.freeStranded()
        }
    }

    /// Tells that the node lives and watches the others, until the task is cancelled.
    package func run() async {
        lastBeat.value = context.time.monotonic()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await beat() }
            if !isAlone { group.addTask { await letGoWhenCutOff() } }
        }
    }

    private func beat() async {
        var watch = NodeWatch()
        while (try? await context.time.sleep(for: interval)) != nil {
            do {
                // A gap in which this node did not look, or could not, says nothing of the others.
                if context.time.monotonic() - lastBeat.value >= lease { watch.forget() }
                let nodes = try await raiseBeat(burying: watch.silent(for: lease, now: context.time.monotonic()))
                if let nodes {
                    lastBeat.value = context.time.monotonic()
                    watch.look(at: nodes.filter { $0.id != context.node.id }, now: lastBeat.value)
                    // What could not be read now is looked at with the next beat.
                    try? await endOvertakenSessions()
                } else {
                    watch.forget()
                    await rejoin()
                    lastBeat.value = context.time.monotonic()
                }
            } catch {
                context.logger.warning("cannot tell the others that this node lives", metadata: ["error": "\(error)"])
                watch.forget()
            }
        }
    }

    /// Lets go of all agents once a lease has passed in which the node could not tell that it lives, also while it still tries:
    /// they find a node that reaches the database, if there is one.
    private func letGoWhenCutOff() async {
        var toldOf: Duration?
        while (try? await context.time.sleep(for: interval)) != nil {
            let last = lastBeat.value
            guard context.time.monotonic() - last >= lease, toldOf != last else { continue }
            toldOf = last
            await context.sessions.disconnectAll(reason: "the server cannot reach its database")
        }
    }

    /// Raises the beat and takes `silent` off the record; returns all nodes, or nil if this one is not among them.
    private func raiseBeat(burying silent: [(id: String, beat: Int64)]) async throws -> [Node]? {
        let id = context.node.id
        return try await context.database.write("node.beat") { tx in
            guard try tx.beat(id) else { return nil }
            for other in silent where try tx.removeNode(other.id, atBeat: other.beat) {
                try tx.append(
                    Event(
                        kind: "node.lost",
                        message: "Node \(other.id) gave no sign of life; what it held is taken over."))
            }
            try tx.freeStranded()
            return try tx.nodes()
        }
    }

    /// A hello that lay with another node since its agent gave that one up takes the place of the session that the agent has
    /// here by now, and ends with its dead connection. Neither the agent nor this node hears of it: they would be content with
    /// each other while the records have the host for disconnected.
    private func endOvertakenSessions() async throws {
        let (database, id) = (context.database, context.node.id)
        try await context.sessions.endOvertaken { try await database.read { try $0.sessions(with: id) } }
    }

    private func rejoin() async {
        context.logger.warning(
            "this node was taken for dead; it lets go of its agents and joins anew",
            metadata: ["node": "\(context.node.id)"])
        context.node.renew(context.ids)
        await context.sessions.disconnectAll(reason: "the server was taken for dead")
        do { try await join() } catch {
            // The next beat finds it missing again.
            context.logger.warning("cannot join anew", metadata: ["error": "\(error)"])
        }
    }
}

private final class LastBeat: Sendable {
    private let time: Mutex<Duration>

    init(_ time: Duration) { self.time = Mutex(time) }

    var value: Duration {
        get { time.withLock { $0 } }
        set { time.withLock { $0 = newValue } }
    }
}

extension Transaction {
    /// Frees what nodes hold that are not on record: hosts are disconnected, and jobs can be taken up by anybody.
    package func freeStranded() throws {
        for var host in try strandedHosts() {
            host.connection = .disconnected
            host.node = nil
            _ = try replace(host, atRevision: host.revision)
            try append(
                Event(
                    kind: "host.disconnected", host: host.id,
                    message: "Host \(host.name) is disconnected: its management node is gone."))
            try loseSight(of: host.id, .hostDisconnected)
        }
        _ = try takeOverStrandedLeases()
    }
}
