package import Domain

/// Who asks, and under which key, so that the same request is accepted once.
package struct Caller: Sendable {
    package let principal: Principal
    package let request: RequestKey?
    /// The revision that the caller saw (`If-Match`), where the change depends on it.
    package let ifMatch: Int?

    package struct RequestKey: Sendable {
        package let key: String
        /// Hex SHA-256 of method, path and body.
        package let digest: String

        package init(key: String, digest: String) {
            self.key = key
            self.digest = digest
        }
    }

    package init(principal: Principal, request: RequestKey? = nil, ifMatch: Int? = nil) {
        self.principal = principal
        self.request = request
        self.ifMatch = ifMatch
    }

    /// The same, of whom no request is remembered.
    var withoutKey: Caller { Caller(principal: principal, ifMatch: ifMatch) }

    func check(revision: Int) throws(Fault) {
        guard let ifMatch, ifMatch != revision else { return }
        throw Fault(
            .preconditionFailed, .revisionMismatch, "The resource has revision \(revision), not \(ifMatch).",
            hint: "Read it again and decide on what it is now.")
    }
}

extension Transaction {
    /// The resource that answered this request before, if it was accepted before.
    func remembered(_ caller: Caller) throws -> String? {
        guard let request = caller.request,
            let earlier = try rememberedRequest(key: "\(caller.principal.name)/\(request.key)")
        else { return nil }
        guard earlier.digest == request.digest else {
            throw Fault(
                .unprocessable, .idempotencyKeyReused,
                "The Idempotency-Key was used for another request.", hint: "Use a fresh key for each new request.")
        }
        return earlier.resource
    }

    /// Makes a repeat of this request answer with `resource`.
    func remember(_ caller: Caller, resource: String) throws {
        guard let request = caller.request else { return }
        try remember(
            RememberedRequest(
                key: "\(caller.principal.name)/\(request.key)", digest: request.digest, resource: resource))
    }
}
