package import Domain

/// The management nodes of this database, for people.
package struct NodeList: Sendable {
    private let context: Context

    package init(_ context: Context) { self.context = context }

    /// All that are on record, in order of name.
    package func nodes() async throws -> [NodeView] {
        try await context.database.read { tx in
            let hosts = try tx.allHosts()
            let errands = try tx.waitingErrands()
            return try tx.nodes().map { node in
                NodeView(
                    // Both times are the database's. A node without others never raises its beat.
                    node: node, lag: node.beat == 0 ? nil : .milliseconds(max(0, tx.now - node.seenAt)),
                    sessions: hosts.filter { $0.node == node.id && $0.connection != .disconnected },
                    errands: errands.first { $0.node == node.id })
            }
        }
    }
}

/// A management node, with what it holds.
package struct NodeView: Sendable {
    package let node: Node
    /// How long ago it last told that it lives; nil if it has nobody to tell.
    package let lag: Duration?
    /// The hosts whose sessions it holds.
    package let sessions: [Host]
    /// What other nodes left for it, and it has not taken.
    package let errands: WaitingErrands?
}

extension Timestamp {
    fileprivate static func - (left: Timestamp, right: Timestamp) -> Int64 { left.milliseconds - right.milliseconds }
}
