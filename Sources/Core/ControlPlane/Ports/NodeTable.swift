package import Domain

package protocol NodeTable {
    func nodes() throws -> [Node]
    func insert(_ node: Node) throws
    /// Raises the node's beat; false when it is not on record (any more).
    func beat(_ node: String) throws -> Bool
    /// Removes the node if its beat is still `beat`; false if it lives, or is gone already.
    func removeNode(_ node: String, atBeat beat: Int64) throws -> Bool
    func removeNode(_ node: String) throws
    /// Removes the nodes that had `place` before.
    func removeNodes(at place: String) throws
    /// The session of each host that has one with the node.
    func sessions(with node: String) throws -> [HostID: Int64]
    /// Hosts with a session whose node is not on record.
    func strandedHosts() throws -> [Host]
    /// Gives back every lease whose node is not on record; returns how many there were.
    func takeOverStrandedLeases() throws -> Int
}
