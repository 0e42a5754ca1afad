package import Domain

/// What one attempt at a job came to.
package enum Attempt: Sendable {
    /// The job's end is written, with the state that it belongs to.
    case ended
    /// What follows is written: the job's end or its next attempt. It sends no command of its own.
    case settled
    /// The job waits for another attempt.
    case again(Fault, Wait)
    /// Trying again cannot help: the job is parked.
    case stuck(reason: String)

    package enum Wait: Sendable {
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
package protocol Workflow: Sendable {
    func attempt(_ job: Job) async throws -> Attempt
}

/// What is done for each job.
package protocol WorkflowTable: Sendable {
    func workflow(for job: Job) -> any Workflow
}

extension Context {
    func driver(of host: HostID) -> KVMHost {
        KVMHost(id: host, sessions: sessions, settings: settings, database: database)
    }

    /// Ends `job`, as its worker, because the VM has moved on; the record names it no more as the operation under way.
    func supersede(_ job: Job, _ label: String) async throws -> Attempt {
        try await database.write(label) { tx in
            try tx.release(tx.vm(job.vm), from: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.superseded, .superseded))
        }
        return .ended
    }

    /// Asks `host` for a fresh inventory and applies it; nil, and nothing changes, without an answer.
    @discardableResult
    func inspect(_ host: HostID) async -> Inventory? {
        do {
            let answer = try await sessions.inventory(of: host, limit: settings.inventoryLimit)
            try await HostSessionService(self).received(answer.inventory, from: host, session: answer.session)
            return answer.inventory
        } catch {
            logger.debug("no inventory", metadata: ["host": "\(host)", "error": "\(error)"])
            return nil
        }
    }
}

extension Inventory {
    /// Whether libvirt says that the domain of `placement` exists; nil where it does not say.
    func shows(_ vm: VMID, _ epoch: Epoch) -> Bool? {
        guard libvirtAnswered, !busy.contains(vm) else { return nil }
        guard let domain = domains.first(where: { $0.vm == vm }), domain.state.isLive else { return false }
        return domain.epoch.map { $0 == epoch }
    }
}

extension Job {
    /// The command that this job sends now.
    var command: CommandID { payload.command ?? CommandID(trusted: id.rawValue) }
}

extension Transaction {
    /// The number of the latest session of the host of `job`.
    func session(of job: Job) throws -> Int64 { try host(job.host)?.session ?? 0 }

    /// When the effect of a command was seen, if that can be put in one order with the host's reports.
    ///
    /// `session` is the latest one before the command was sent. A result that is told again may come from an earlier
    /// process of the agent, which counted on another scale.
    func observation(of result: CommandResult, for job: Job, sentIn session: Int64) throws -> Observation? {
        guard job.attempts == 1, let host = try host(job.host), host.session == session else { return nil }
        return Observation(session: session, sequence: result.sequence)
    }
}

extension CommandResult.Effect {
    /// How a domain that a stop met came to be gone.
    var stopCause: StopCause { self == .notFound ? .foundGone : .requested }
}
