/// What `roostd` writes into its data directory (`client.json`), so that a client on the same machine finds it.
package struct ClientHint: Codable, Hashable, Sendable {
    /// The API's address, for example `http://127.0.0.1:7080`.
    package var server: String
    /// The file with the admin token, mode 0600. Absolute, or counted from the folder of `client.json`; `caFile` too.
    package var tokenFile: String
    /// The CA to trust, for an `https` server with Roost's own certificate.
    package var caFile: String?

    package init(server: String, tokenFile: String, caFile: String? = nil) {
        self.server = server
        self.tokenFile = tokenFile
        self.caFile = caFile
    }
}
