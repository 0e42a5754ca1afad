import Domain

extension HypervisorError {
    /// The error in the words of the server's API.
    var fault: Fault {
        switch self {
        case .unreachable(let why): Fault(.unavailable, .libvirtUnavailable, "libvirt does not answer: \(why)")
        case .noDomain: Fault(.conflict, .domainNotFound, "There is no such domain on this host.")
        case .failed(let why): Fault(.unavailable, .commandFailed, "libvirt refused: \(why)")
        }
    }
}

extension Fault {
    /// What a copy of a start is answered that was rejected before it began.
    static func neverStarted(_ reason: Fault) -> Fault {
        Fault(.conflict, .superseded, "The start was rejected, and is never run: \(reason.message)", hint: reason.hint)
    }
}
