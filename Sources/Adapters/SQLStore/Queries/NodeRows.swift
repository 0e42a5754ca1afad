import ControlPlane
import Domain

/// Rows of `node` as records.
enum NodeRows {
    static let columns = ["id", "place", "name", "version", "beat", "started_at", "seen_at"]
    static let insert = SQLText.insert(into: "node", columns)
    static let select = "SELECT \(columns.joined(separator: ", ")) FROM node"
    /// Holds for an owner that is no node on record.
    static func isStranded(_ column: String) -> String {
        "(\(column) IS NULL OR \(column) NOT IN (SELECT id FROM node))"
    }

    static func values(_ node: Node) -> [SQLValue] {
        [
            .text(node.id), .text(node.place), .text(node.name), .text(node.version), .integer(node.beat),
            SQLValue(node.startedAt), SQLValue(node.seenAt),
        ]
    }

    static func record(_ row: SQLRow) throws -> Node {
        let read = RowReader("node", row)
        return Node(
            id: try read.text("id"), place: try read.text("place"), name: try read.text("name"),
            version: try read.text("version"), beat: try read.integer("beat"), startedAt: try read.time("started_at"),
            seenAt: try read.time("seen_at"))
    }
}

extension SQLTransaction: NodeTable {
    func nodes() throws -> [Node] {
        try sql.query("\(NodeRows.select) ORDER BY name, id").map(NodeRows.record)
    }

    func insert(_ node: Node) throws { try sql.execute(NodeRows.insert, NodeRows.values(node)) }

    func beat(_ node: String) throws -> Bool {
        try sql.execute("UPDATE node SET beat = beat + 1, seen_at = ? WHERE id = ?", SQLValue(now), .text(node)) == 1
    }

    func removeNode(_ node: String, atBeat beat: Int64) throws -> Bool {
        try sql.execute("DELETE FROM node WHERE id = ? AND beat = ?", .text(node), .integer(beat)) == 1
    }

    func removeNode(_ node: String) throws { try sql.execute("DELETE FROM node WHERE id = ?", .text(node)) }

    func removeNodes(at place: String) throws { try sql.execute("DELETE FROM node WHERE place = ?", .text(place)) }

    func sessions(with node: String) throws -> [HostID: Int64] {
        let rows = try sql.query(
            "SELECT id, session FROM host WHERE node = ? AND connection <> 'disconnected' AND deleted_at IS NULL",
            .text(node))
        return try rows.reduce(into: [:]) { found, row in
            let read = RowReader("host", row)
            found[HostID(trusted: try read.text("id"))] = try read.integer("session")
        }
    }

    func strandedHosts() throws -> [Host] {
        try sql.query(
            """
            \(HostRows.select) WHERE deleted_at IS NULL AND connection <> 'disconnected'
                AND \(NodeRows.isStranded("node")) ORDER BY name, id
            """
        ).map(HostRows.record)
    }

    func takeOverStrandedLeases() throws -> Int {
        let gone = NodeRows.isStranded("id")
        if try sql.query("SELECT id FROM lessee WHERE \(gone) LIMIT 1").isEmpty { return 0 }
        try sql.execute("DELETE FROM lessee WHERE \(gone)")
        let taken = try sql.execute(
            """
            UPDATE job SET state = 'waiting', owner = NULL, next_attempt_at = ?, revision = revision + 1, updated_at = ?
            WHERE ended_at IS NULL AND state = 'running' AND \(NodeRows.isStranded("owner"))
            """, SQLValue(now), SQLValue(now))
        if taken > 0 { noteJobs() }
        return taken
    }
}
