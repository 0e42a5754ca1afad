import ControlPlane
import Domain

/// Rows of `api_token` and `join_token`. Only hashes of secrets are stored.
extension SQLTransaction: CredentialTable {
    func principal(tokenHash: String) throws -> Principal? {
        try records.query("SELECT hash, principal FROM api_token WHERE hash = ?", SQLValue(tokenHash)).first.map {
            row in
            Principal(name: try RowReader("API token", key: "hash", row).text("principal"))
        }
    }

    /// A hash that is there already keeps its principal.
    func insertToken(hash: String, principal: Principal) throws {
        try records.execute(
            "INSERT INTO api_token (hash, principal, created_at) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING",
            SQLValue(hash), SQLValue(principal.name), SQLValue(now))
    }

    func insertJoinToken(_ token: JoinToken) throws {
        try records.execute(
            "INSERT INTO join_token (hash, host, expires_at, used_by, created_at) VALUES (?, ?, ?, ?, ?)",
            SQLValue(token.hash), SQLValue(token.host), SQLValue(token.expiresAt), SQLValue(token.usedBy),
            SQLValue(now))
    }

    func joinToken(hash: String) throws -> JoinToken? {
        let rows = try records.query(
            "SELECT hash, host, expires_at, used_by FROM join_token WHERE hash = ?", SQLValue(hash))
        return try rows.first.map { row in
            let read = RowReader("join token", key: "hash", row)
            return JoinToken(
                hash: try read.text("hash"), host: try read.id("host"), expiresAt: try read.time("expires_at"),
                usedBy: try read.optionalText("used_by"))
        }
    }

    func useJoinToken(hash: String, publicKey: String) throws -> Bool {
        let used = try records.execute(
            "UPDATE join_token SET used_by = ? WHERE hash = ? AND used_by IS NULL", SQLValue(publicKey), SQLValue(hash))
        return used == 1
    }

    func revokeJoinTokens(of host: HostID) throws {
        try records.execute("DELETE FROM join_token WHERE host = ? AND used_by IS NULL", SQLValue(host))
    }
}
