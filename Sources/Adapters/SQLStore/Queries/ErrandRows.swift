import ControlPlane
import Domain

/// Rows of `errand`.
extension SQLTransaction: ErrandTable {
    func leave(_ errand: Errand) throws {
        try records.execute(
            SQLText.insert(into: "errand", ["id", "node", "host", "request", "created_at"]), .text(errand.id),
            .text(errand.node), SQLValue(errand.host), .text(errand.request), SQLValue(now))
    }

    func hasErrands(for node: String) throws -> Bool {
        try !records.query("SELECT id FROM errand WHERE node = ? AND taken_at IS NULL LIMIT 1", .text(node)).isEmpty
    }

    func waitingErrands() throws -> [WaitingErrands] {
        try sql.query(
            """
            SELECT node, COUNT(*) AS count, MIN(created_at) AS since FROM errand WHERE taken_at IS NULL
            GROUP BY node ORDER BY node
            """
        ).map { row in
            let read = RowReader("errand of node", key: "node", row)
            return WaitingErrands(
                node: try read.text("node"), count: try read.int("count"), since: try read.time("since"))
        }
    }

    func takeErrands(for node: String, limit: Int) throws -> [Errand] {
        let taken = try records.query(
            """
            UPDATE errand SET taken_at = ? WHERE taken_at IS NULL AND id IN
                (SELECT id FROM errand WHERE node = ? AND taken_at IS NULL ORDER BY created_at, id LIMIT ?)
            RETURNING id, node, host, request
            """, SQLValue(now), .text(node), SQLValue(limit))
        return try taken.map { row in
            let read = RowReader("errand", row)
            return Errand(
                id: try read.text("id"), node: try read.text("node"), host: try read.id("host"),
                request: try read.text("request"))
        }
    }

    func answerErrand(_ id: String, with answer: String) throws {
        try records.execute("UPDATE errand SET answer = ? WHERE id = ?", .text(answer), .text(id))
    }

    func errandAnswer(_ id: String) throws -> String? {
        try records.query("SELECT id, answer FROM errand WHERE id = ?", .text(id)).first
            .flatMap { try RowReader("errand", $0).optionalText("answer") }
    }

    func withdrawErrand(_ id: String) throws -> ErrandEnd {
        let removed = try records.query("DELETE FROM errand WHERE id = ? RETURNING id, answer, taken_at", .text(id))
        guard let row = removed.first else { return .unanswered }
        let read = RowReader("errand", row)
        if let answer = try read.optionalText("answer") { return .answered(answer) }
        return try read.optionalTime("taken_at") == nil ? .untaken : .unanswered
    }

    func removeErrands(before time: Timestamp) throws {
        try records.execute("DELETE FROM errand WHERE created_at < ?", SQLValue(time))
    }
}
