import FoundationEssentials

/// A server's address, and what this client needs to speak with it.
package struct ServerAccess: Hashable, Sendable {
    /// Scheme, host and port, without a slash at the end.
    package let address: String
    package let token: String
    /// The PEM file with the CA to trust in place of the system's.
    package let caFile: String?

    /// Why an address or a token cannot be used.
    package enum Refusal: Error, Hashable, Sendable {
        case notAnAddress(String)
        /// The token would cross a network that anyone on the way can read.
        case plainHTTP(String)
        case badToken
    }

    /// Checks the parts; `sendsTokenInClear` allows plain `http` to another machine.
    package init(
        address: String, token: String, caFile: String? = nil, sendsTokenInClear: Bool = false
    ) throws(Refusal) {
        guard let url = URL(string: address), let scheme = url.scheme?.lowercased(), let host = url.host(),
            !host.isEmpty, ["http", "https"].contains(scheme), url.user() == nil, url.query() == nil,
            url.fragment() == nil
        else { throw .notAnAddress(address) }
        if scheme == "http", !Self.isLoopback(host), !sendsTokenInClear { throw .plainHTTP(address) }
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw .badToken }
        self.address = Self.normalised(address)
        self.token = token
        self.caFile = caFile
    }

    /// The address without slashes at its end, so that the same server is written one way.
    package static func normalised(_ address: String) -> String {
        var text = Substring(address)
        while text.hasSuffix("/") { text.removeLast() }
        return String(text)
    }

    /// Whether a host's name or address cannot lead off this machine.
    package static func isLoopback(_ host: String) -> Bool {
        let bare = host.trimmingPrefix("[")
        let name = (bare.hasSuffix("]") ? bare.dropLast() : bare).lowercased()
        if name == "localhost" || name == "::1" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
