package import Domain

/// What nodes ask of each other through their database: a question for a host's agent, left for the node that holds the
/// host's session.
package protocol ErrandTable {
    func leave(_ errand: Errand) throws
    func hasErrands(for node: String) throws -> Bool
    /// Errands of `node` that nobody has taken, the oldest first; they are taken from now on.
    func takeErrands(for node: String, limit: Int) throws -> [Errand]
    /// Nothing happens when nobody waits for the answer any more.
    func answerErrand(_ id: String, with answer: String) throws
    /// What waits to be taken, by node.
    func waitingErrands() throws -> [WaitingErrands]
    func errandAnswer(_ id: String) throws -> String?
    /// Removes the errand; says how it stood.
    func withdrawErrand(_ id: String) throws -> ErrandEnd
    /// Removes what was left there by nodes that are gone.
    func removeErrands(before time: Timestamp) throws
}

package struct Errand: Hashable, Sendable {
    package let id: String
    /// Who is to do it.
    package let node: String
    package let host: HostID
    /// The question, in the form that the nodes' gateways understand.
    package let request: String

    package init(id: String, node: String, host: HostID, request: String) {
        self.id = id
        self.node = node
        self.host = host
        self.request = request
    }
}

/// Errands of a node that it has not taken.
package struct WaitingErrands: Hashable, Sendable {
    package let node: String
    package let count: Int
    /// When the oldest of them was left.
    package let since: Timestamp

    package init(node: String, count: Int, since: Timestamp) {
        self.node = node
        self.count = count
        self.since = since
    }
}

package enum ErrandEnd: Hashable, Sendable {
    case answered(String)
    /// Nobody has begun it, and nobody will.
    case untaken
    /// It was begun, and its end is not known.
    case unanswered
}
