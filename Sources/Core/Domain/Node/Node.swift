/// A management node: one `roostd` process, from its start to its end.
package struct Node: Hashable, Sendable {
    /// A process's own, never used again: a node that comes back is another one.
    package let id: String
    /// Where it keeps its own data. One process at a time has a place, so that a new one there proves the old one over.
    package let place: String
    package let name: String
    package let version: String
    /// Rises as long as the node lives. Others see by it that the node goes on, and never compare clocks.
    package let beat: Int64
    package let startedAt: Timestamp
    /// When it last told that it lives; for people.
    package let seenAt: Timestamp

    package init(
        id: String, place: String, name: String, version: String, beat: Int64 = 0, startedAt: Timestamp,
        seenAt: Timestamp
    ) {
        self.id = id
        self.place = place
        self.name = name
        self.version = version
        self.beat = beat
        self.startedAt = startedAt
        self.seenAt = seenAt
    }
}

/// What one node has seen of the others' beats, on its own monotonic clock. Pure.
package struct NodeWatch: Hashable, Sendable {
    private struct Sight: Hashable {
        let beat: Int64
        let since: Duration
    }

    private var sights: [String: Sight] = [:]

    package init() {}

    /// Takes in what the database holds at `now`.
    package mutating func look(at nodes: [Node], now: Duration) {
        var next: [String: Sight] = [:]
        for node in nodes {
            let known = sights[node.id]
            next[node.id] = known?.beat == node.beat ? known : Sight(beat: node.beat, since: now)
        }
        sights = next
    }

    /// The nodes whose beat has not changed for `lease`.
    package func silent(for lease: Duration, now: Duration) -> [(id: String, beat: Int64)] {
        sights.filter { now - $0.value.since >= lease }.map { ($0.key, $0.value.beat) }.sorted { $0.id < $1.id }
    }

    /// What was seen counts for nothing: while the database could not be asked, the others could not write to it either.
    package mutating func forget() { sights = [:] }
}
