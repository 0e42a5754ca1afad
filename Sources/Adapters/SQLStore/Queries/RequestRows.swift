import ControlPlane
import Domain

/// Rows of `request`.
extension SQLTransaction: RequestMemory {
    func rememberedRequest(key: String) throws -> RememberedRequest? {
        let rows = try records.query(
            "SELECT request_key, digest, resource FROM request WHERE request_key = ?", SQLValue(key))
        return try rows.first.map { row in
            let read = RowReader("request", key: "request_key", row)
            return RememberedRequest(
                key: try read.text("request_key"), digest: try read.text("digest"), resource: try read.text("resource"))
        }
    }

    /// Another request with the key came first: `LostRace`, so that the body runs again and finds it.
    func remember(_ request: RememberedRequest) throws {
        let stored = try records.execute(
            """
            INSERT INTO request (request_key, digest, resource, recorded_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (request_key) DO NOTHING
            """, SQLValue(request.key), SQLValue(request.digest), SQLValue(request.resource), SQLValue(now))
        if stored == 0 { throw LostRace() }
    }

    func forgetRequests(before time: Timestamp, limit: Int) throws -> Int {
        try records.execute(
            """
            DELETE FROM request WHERE request_key IN
                (SELECT request_key FROM request WHERE recorded_at < ? ORDER BY recorded_at LIMIT ?)
            """, SQLValue(time), SQLValue(limit))
    }
}
