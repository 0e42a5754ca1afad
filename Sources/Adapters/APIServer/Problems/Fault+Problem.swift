package import APIContract
package import Domain

extension Fault {
    /// The HTTP status that answers this fault.
    package var status: Int {
        if code == .methodNotAllowed { return 405 }
        if code == .eventsExpired { return 410 }
        switch kind {
        case .invalid: return 400
        case .unauthenticated: return 401
        case .forbidden: return 403
        case .notFound: return 404
        case .conflict: return 409
        case .preconditionFailed: return 412
        case .tooLarge: return 413
        case .unprocessable: return 422
        case .bug: return 500
        case .unavailable: return 503
        }
    }

    /// The fault as RFC 9457 has it.
    package var problem: Problem {
        Problem(
            type: "urn:roost:problem:\(code.rawValue)", title: code.title, status: status, detail: message,
            code: code.rawValue, hint: hint, field: field)
    }

    /// What the caller of the API is told of `error`. Nothing of an unforeseen one: it goes to the log, with the request's id.
    package init(answering error: any Error) {
        self =
            error as? Fault
            ?? Fault(
                .bug, .internalError, "The server failed to answer this request.",
                hint: "The server's log says why, under this request's id (the x-request-id header).")
    }
}

extension FaultCode {
    /// The same words for every problem of this code.
    package var title: String {
        switch self {
        case .affinity: "The VMs that it wants to be with are elsewhere"
        case .alreadyConnected: "The host already has an agent"
        case .antiAffinity: "A VM there keeps it away"
        case .bodyTooLarge: "The body is too large"
        case .commandFailed: "The host could not do it"
        case .diskElsewhere: "The disk lies on another host"
        case .domainNotFound: "There is no such domain on the host"
        case .epochConflict: "The host knows a later epoch"
        case .eventsExpired: "The events are not kept any more"
        case .forbidden: "Not allowed"
        case .hostDeleted: "The host is deleted"
        case .hostInUse: "The host is in use"
        case .hostUnreachable: "The host cannot be reached"
        case .idempotencyKeyReused: "The Idempotency-Key was used before"
        case .imageInUse: "The image is in use"
        case .imageInvalid: "The file is not what it should be"
        case .imageNotReady: "The image is not complete"
        case .internalError: "Internal error"
        case .invalidBody: "The body is wrong"
        case .invalidField: "A field is wrong"
        case .invalidState: "Not possible in the present state"
        case .joinTokenInvalid: "The join token is not valid"
        case .labelsMismatch: "The host lacks a label"
        case .libvirtUnavailable: "The host's libvirt does not answer"
        case .methodNotAllowed: "The method is not allowed"
        case .migrationImpossible: "It cannot be moved there"
        case .nameAmbiguous: "The name means several"
        case .nameTaken: "The name is taken"
        case .noCapacity: "No host has room"
        case .notFound: "Not found"
        case .operationInProgress: "Another operation is under way"
        case .outcomeUnknown: "The outcome is unknown"
        case .placementUnresolved: "Where the VM runs is not settled"
        case .unnamed: "It has a name that this release does not know"
        case .protocolMismatch: "The protocol versions do not fit"
        case .recovering: "Restored records wait to be accepted"
        case .revisionMismatch: "The resource has changed"
        case .staleEpoch: "The epoch has passed"
        case .staleSession: "The session is over"
        case .storeUnavailable: "The database cannot be reached"
        case .superseded: "A later wish won"
        case .unauthenticated: "Not authenticated"
        }
    }
}
