package import Domain

/// Knows API tokens by their hashes.
package struct Authenticator: Sendable {
    let database: any Database

    package init(_ database: any Database) { self.database = database }

    /// Who owns the token with this SHA-256 (lower-case hex); nil if nobody does.
    package func principal(tokenHash: String) async throws -> Principal? {
        try await database.read { tx in try tx.principal(tokenHash: tokenHash) }
    }

    /// Records the token that is made at the first start. Does nothing if it is known.
    package func register(tokenHash: String, for principal: Principal) async throws {
        try await database.write("token.register") { tx in
            guard try tx.principal(tokenHash: tokenHash) == nil else { return }
            try tx.insertToken(hash: tokenHash, principal: principal)
        }
    }
}
