/// A management node: one server process of those that share the database.
package struct NodeResource: Codable, Hashable, Sendable {
    /// A process's own: a node that comes back is another one.
    package var id: String
    package var name: String
    package var version: String
    package var startedAt: String
    /// When it last told that it lives.
    package var seenAt: String
    /// How many seconds ago that was; nil for a server with a database of its own.
    package var lag: Int64?
    /// The ids of the hosts whose sessions it holds.
    package var hosts: [String]
    /// How many questions of other nodes it has not taken yet.
    package var waitingErrands: Int
    /// When the oldest of those was left.
    package var errandsSince: String?

    package init(
        id: String, name: String, version: String, startedAt: String, seenAt: String, lag: Int64?, hosts: [String],
        waitingErrands: Int, errandsSince: String?
    ) {
        self.id = id
        self.name = name
        self.version = version
        self.startedAt = startedAt
        self.seenAt = seenAt
        self.lag = lag
        self.hosts = hosts
        self.waitingErrands = waitingErrands
        self.errandsSince = errandsSince
    }
}
