import ControlPlane
package import Domain
package import HTTPTypes

/// What the API reads from a request's head.
package enum RequestHeaders {
    static let idempotencyKeyLengthMax = 128

    /// The token of `Authorization: Bearer …`.
    package static func bearerToken(_ headers: HTTPFields) throws(Fault) -> String {
        guard let value = headers[.authorization] else {
            throw Fault(
                .unauthenticated, .unauthenticated, "The request has no token.",
                hint: "Send the header 'Authorization: Bearer TOKEN'.")
        }
        let parts = value.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw Fault(
                .unauthenticated, .unauthenticated, "The Authorization header is not 'Bearer TOKEN'.",
                hint: "Send the header 'Authorization: Bearer TOKEN'.")
        }
        return String(parts[1])
    }

    /// The key that makes a repeated request the same request.
    package static func idempotencyKey(_ headers: HTTPFields) throws(Fault) -> String? {
        guard let key = headers[named: "idempotency-key"] else { return nil }
        guard (1...idempotencyKeyLengthMax).contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw .invalid(
                "Idempotency-Key", "must be 1 to \(idempotencyKeyLengthMax) visible ASCII characters.",
                hint: "A random UUID will do.")
        }
        return key
    }

    /// The revision that a change is made on condition of: an `ETag` of this API, or `*` for none.
    package static func ifMatch(_ headers: HTTPFields) throws(Fault) -> Int? {
        guard let value = headers[.ifMatch], value != "*" else { return nil }
        let digits = value.hasPrefix("\"") && value.hasSuffix("\"") ? value.dropFirst().dropLast() : value[...]
        guard let revision = Int(digits), revision >= 0 else {
            throw .invalid("If-Match", "must be one ETag of this resource, for example \"7\".")
        }
        return revision
    }

    /// Refuses a body that does not say that it is JSON; of a PATCH also one that says that it is a merge patch (RFC 7396).
    package static func checkJSON(_ headers: HTTPFields, isPatch: Bool = false) throws(Fault) {
        let parts = (headers[.contentType] ?? "").lowercased().split(separator: ";").map {
            $0.trimmingPrefix { $0 == " " }.filter { $0 != " " && $0 != "\"" }
        }
        let isJSON = parts.first == "application/json" || isPatch && parts.first == "application/merge-patch+json"
        guard isJSON, parts.dropFirst().allSatisfy({ $0 == "charset=utf-8" }) else {
            throw Fault(
                .invalid, .invalidBody, "The body's Content-Type must be application/json (in UTF-8).",
                hint: "Send the header 'Content-Type: application/json'.")
        }
    }
}
