import FoundationEssentials

/// One request of the API, as it is sent and, where needed, sent again.
package struct APIRequest: Sendable {
    package enum Method: String, Sendable {
        case get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE"
    }

    package enum Body: Sendable {
        case none
        case json(String)
        case file(FileBody)
    }

    package let method: Method
    /// Path and query, after the server's address.
    package let target: String
    package let body: Body
    /// How long one attempt may take in all.
    package let secondsMax: Int
    package let retries: RetryPolicy
    /// The same for every attempt, so that the server does it once.
    package let idempotencyKey: String?

    /// `path` are the segments after `/v1`; a parameter whose value is nil is left out.
    package init(
        _ method: Method, _ path: [String], query: [(name: String, value: String?)] = [], body: Body = .none,
        secondsMax: Int = 30, retries: RetryPolicy = .standard
    ) {
        self.method = method
        let parameters = query.compactMap { name, value in value.map { "\(name)=\(Self.encoded($0))" } }
        self.target =
            "/v1/" + path.map(Self.encoded).joined(separator: "/")
            + (parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&"))
        self.body = body
        self.secondsMax = secondsMax
        self.retries = retries
        self.idempotencyKey =
            switch method {
            case .post, .delete: UUID().uuidString.lowercased()
            case .get, .put, .patch: nil
            }
    }

    /// Percent-encoded, so that a name with a slash or a question mark stays one name.
    package static func encoded(_ text: String) -> String {
        // A segment of dots alone would be taken as a step up the path.
        if !text.isEmpty, text.allSatisfy({ $0 == "." }) { return text.map { _ in "%2E" }.joined() }
        return text.utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            if byte < 0x80, scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-._~".utf8.contains(byte)
            {
                return String(scalar)
            }
            let hex = String(byte, radix: 16, uppercase: true)
            return "%" + (hex.count == 1 ? "0" : "") + hex
        }.joined()
    }
}
