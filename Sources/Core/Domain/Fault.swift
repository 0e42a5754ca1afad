/// What a caller can do about a failure. HTTP status, exit code and retry derive from it.
package enum FaultKind: String, CaseIterable, Sendable, Codable {
    /// The request itself is wrong: correct it.
    case invalid
    /// No valid credential.
    case unauthenticated
    /// A valid credential without the right.
    case forbidden
    case notFound
    /// The request is well-formed but not possible in the present state.
    case conflict
    /// `If-Match` named another revision.
    case preconditionFailed
    /// The same idempotency key with another body, or content that cannot be used.
    case unprocessable
    case tooLarge
    /// Something that is needed cannot be reached now: try again.
    case unavailable
    case bug
}

/// Stable, kebab-case names of what can go wrong; part of the public API.
package enum FaultCode: String, CaseIterable, Sendable, Codable {
    case affinity
    case alreadyConnected = "already-connected"
    case antiAffinity = "anti-affinity"
    case bodyTooLarge = "body-too-large"
    case commandFailed = "command-failed"
    case diskElsewhere = "disk-elsewhere"
    case domainNotFound = "domain-not-found"
    case epochConflict = "epoch-conflict"
    case eventsExpired = "events-expired"
    case forbidden
    case hostDeleted = "host-deleted"
    case hostInUse = "host-in-use"
    case hostUnreachable = "host-unreachable"
    case idempotencyKeyReused = "idempotency-key-reused"
    case imageInUse = "image-in-use"
    case imageInvalid = "image-invalid"
    case imageNotReady = "image-not-ready"
    case internalError = "internal-error"
    case invalidBody = "invalid-body"
    case invalidField = "invalid-field"
    case invalidState = "invalid-state"
    case joinTokenInvalid = "join-token-invalid"
    case labelsMismatch = "labels-mismatch"
    case libvirtUnavailable = "libvirt-unavailable"
    case methodNotAllowed = "method-not-allowed"
    case migrationImpossible = "migration-impossible"
    case nameAmbiguous = "name-ambiguous"
    case nameTaken = "name-taken"
    case noCapacity = "no-capacity"
    case notFound = "not-found"
    case operationInProgress = "operation-in-progress"
    case outcomeUnknown = "outcome-unknown"
    case placementUnresolved = "placement-unresolved"
    case protocolMismatch = "protocol-mismatch"
    case recovering
    case revisionMismatch = "revision-mismatch"
    case staleEpoch = "stale-epoch"
    case staleSession = "stale-session"
    case storeUnavailable = "store-unavailable"
    case superseded
    case unauthenticated
    /// Read from what a later release wrote, which has a name for it.
    case unnamed

    package init(from decoder: any Decoder) throws {
        self = FaultCode(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unnamed
    }
}

/// An error in words its reader may see: no SQL, no stack traces.
package struct Fault: Error, Hashable, Sendable, Codable {
    package let kind: FaultKind
    package let code: FaultCode
    /// One sentence that says what went wrong.
    package let message: String
    /// What the reader can do, where there is something.
    package let hint: String?
    /// The request's field that is wrong, where it is one.
    package let field: String?

    package init(
        _ kind: FaultKind, _ code: FaultCode, _ message: String, hint: String? = nil, field: String? = nil
    ) {
        self.kind = kind
        self.code = code
        self.message = message
        self.hint = hint
        self.field = field
    }

    package static func invalid(_ field: String, _ message: String, hint: String? = nil) -> Fault {
        Fault(.invalid, .invalidField, "\(field): \(message)", hint: hint, field: field)
    }

    package static func notFound(_ what: String, _ reference: String) -> Fault {
        Fault(.notFound, .notFound, "There is no \(what) '\(reference)'.")
    }
}
