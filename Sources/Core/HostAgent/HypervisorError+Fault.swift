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

/// libvirt shows the domain of a start, and neither ends that start nor gives it up.
struct StillStarting: Error {
    /// The start goes on as far as anybody can tell: it is no end of the command.
    let fault = Fault(
        .unavailable, .outcomeUnknown, "libvirt has begun to start the domain, and does not come to an end.",
        hint: "If virsh domstate --reason still says paused (starting up), restart libvirtd on the host.")
}

extension Fault {
    /// What a copy of a start is answered that was rejected before it began.
    static func neverStarted(_ reason: Fault) -> Fault {
        Fault(.conflict, .superseded, "The start was rejected, and is never run: \(reason.message)", hint: reason.hint)
    }
}
