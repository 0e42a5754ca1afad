import Domain

/// What one attempt at a job came to.
enum Attempt: Sendable {
    /// The job's end is written, with the state that it belongs to.
    case ended
    /// The job waits for another attempt.
    case again(Fault, Wait)

    enum Wait: Sendable {
        /// The host cannot be asked: its next session wakes the job. The command keeps its id.
        case host
        /// The command's end is not known: it is asked for again, under the same id.
        case answer
        /// The command ended without effect: it is sent afresh.
        case backoff
    }
}

/// Work that the engine runs. An attempt may be cut short anywhere and is repeated then, so every step is idempotent, and
/// everything written is conditional on the lease.
protocol Workflow: Sendable {
    func attempt(_ job: Job) async throws -> Attempt
}

extension Context {
    func driver(of host: HostID) -> KVMHost { KVMHost(id: host, sessions: sessions, settings: settings) }

    /// Asks `host` for a fresh inventory and applies it; without an answer nothing changes.
    func inspect(_ host: HostID) async {
        do {
            let answer = try await sessions.inventory(of: host, limit: settings.inventoryLimit)
            try await HostSessionService(self).received(answer.inventory, from: host, session: answer.session)
        } catch {
            logger.debug("no inventory", metadata: ["host": "\(host)", "error": "\(error)"])
        }
    }
}

extension Job {
    /// The command that this job sends now.
    var command: CommandID { payload.command ?? CommandID(trusted: id.rawValue) }
}

extension CommandEnd {
    /// The fault of an end that is not a result.
    var fault: Fault? {
        switch self {
        case .done: nil
        case .notSent(let fault), .rejected(let fault), .failed(let fault), .outcomeUnknown(let fault): fault
        }
    }
}

extension CommandResult.Effect {
    /// How a domain that a stop met came to be gone.
    var stopCause: StopCause { self == .notFound ? .foundGone : .requested }
}
