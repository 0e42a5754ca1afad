import Domain

/// Brings a VM to life where its start was granted.
///
/// Each attempt sends the same command: the agent runs it once and remembers its end, so a lost answer is asked for again
/// and never becomes a second start.
struct StartOperation: Workflow {
    let context: Context
    /// What a start that succeeds has achieved.
    var outcome = JobOutcome.started

    func attempt(_ job: Job) async throws -> Attempt {
        guard let order = try await order(for: job) else { return try await supersede(job) }
        await context.faults.reach("start.before-command")
        let end = await context.driver(of: job.host).start(order.command, as: job.command)
        await context.faults.reach("start.before-write")
        switch end {
        case .done(let result): return try await finish(job, result, sentIn: order.session)
        case .failed(let fault):
            try await fail(job, fault)
            return .ended
        case .rejected(let fault):
            guard isProof(fault, for: job) else {
                try await loseSight(job)
                return .again(fault, fault.code == .libvirtUnavailable ? .host : .answer)
            }
            try await fail(job, fault)
            return .ended
        case .notSent(let fault):
            // A node that stops gives the job back as it is.
            if Task.isCancelled { return .again(fault, .host) }
            // Only the first attempt knows that no earlier one was sent.
            guard job.attempts > 1 else {
                try await fail(job, fault)
                return .ended
            }
            try await loseSight(job)
            return .again(fault, .host)
        case .outcomeUnknown(let fault):
            if !Task.isCancelled { try await loseSight(job) }
            return .again(fault, .answer)
        }
    }

    private struct Order: Sendable {
        let command: StartVMCommand
        /// The host's session before the command is sent.
        let session: Int64
    }

    /// What to send, or nil if the VM has moved on.
    private func order(for job: Job) async throws -> Order? {
        try await context.database.read { tx in
            guard let vm = try tx.vm(job.vm), vm.state.placement == job.placement, vm.operation == job.id,
                let image = try tx.image(vm.image)
            else { return nil }
            let command = StartVMCommand(
                vm: vm.id, epoch: job.epoch, name: vm.name, cpus: vm.cpus, memory: vm.memory,
                image: ImageSource(image))
            return Order(command: command, session: try tx.session(of: job))
        }
    }

    /// Whether a refusal proves that no domain of this epoch is there, nor ever will be.
    ///
    /// It says that *this* sending touched nothing. What an earlier one did, or this one before the agent's own disk failed,
    /// is proven only by an epoch that is over on the host, or by the agent's promise never to run the command.
    private func isProof(_ fault: Fault, for job: Job) -> Bool {
        switch fault.code {
        case .staleEpoch, .superseded: true
        // libvirt shows the domain, and not what becomes of it.
        case .outcomeUnknown: false
        default: job.attempts == 1 && fault.code != .internalError
        }
    }

    /// The domain was started. After a repeated sending that may be long ago, so the host is asked what is there now.
    private func finish(_ job: Job, _ result: CommandResult, sentIn session: Int64) async throws -> Attempt {
        let isRepeat = job.attempts > 1
        let outcome = outcome
        let inventory = isRepeat ? await context.inspect(job.host) : nil
        let isGone = inventory?.shows(job.vm, job.epoch) == false
        let isWritten = try await context.database.write("start.finish") { tx in
            switch try tx.host(job.host)?.connection {
            // The session's own inventory is older than this answer and not applied yet: it comes first.
            case .connecting: return false
            case .connected: if isRepeat, inventory == nil { return false }
            case .disconnected, nil: break
            }
            let change = ChangeVMState(
                vm: job.vm, event: .started, expectedHost: job.host, expectedEpoch: job.epoch,
                observation: try tx.observation(of: result, for: job, sentIn: session))
            let end: JobEnd
            switch try tx.apply(change, ending: job.id) {
            case .applied:
                end = JobEnd(.succeeded, outcome)
                if isGone { _ = try tx.apply(change.followed(by: .gone(.foundGone))) }
            case .superseded(let vm):
                end = vm.startEnd(of: job, isProven: true)
                try tx.release(vm, from: job)
            }
            try tx.end(job, underLease: job.leaseToken, as: end)
            return true
        }
        guard isWritten else {
            let fault = Fault(
                .unavailable, .outcomeUnknown, "The host says that it started the VM, and not yet what it shows now.")
            return .again(fault, .answer)
        }
        return .ended
    }

    private func fail(_ job: Job, _ fault: Fault) async throws {
        let change = ChangeVMState(
            vm: job.vm, event: .startRefused, expectedHost: job.host, expectedEpoch: job.epoch)
        try await context.database.write("start.fail") { tx in
            if case .superseded(let vm) = try tx.apply(change, ending: job.id) { try tx.release(vm, from: job) }
            try tx.end(job, underLease: job.leaseToken, as: .failed(fault))
        }
        context.logger.warning("start failed", metadata: job.metadata(["error": "\(fault.message)"]))
    }

    /// Whether the domain runs is not known until the agent is asked.
    private func loseSight(_ job: Job) async throws {
        try await context.database.write("start.unknown") { tx in try tx.loseSight(ofPlacementOf: job) }
    }

    private func supersede(_ job: Job) async throws -> Attempt {
        try await context.database.write("start.superseded") { tx in
            let vm = try tx.vm(job.vm)
            try tx.release(vm, from: job)
            try tx.end(job, underLease: job.leaseToken, as: vm.startEnd(of: job, isProven: false))
        }
        return .ended
    }
}

extension VM? {
    /// How a start ended whose placement is given up: its guest may have ended before the answer came, and was started
    /// all the same.
    fileprivate func startEnd(of job: Job, isProven: Bool) -> JobEnd {
        guard let vm = self, vm.epoch == job.epoch, vm.state.placement == nil, isProven || vm.observed != nil else {
            return JobEnd(.superseded, .superseded)
        }
        return JobEnd(.succeeded, .started)
    }
}

extension Transaction {
    /// The VM's record no longer names `job` as the operation under way.
    func release(_ vm: VM?, from job: Job) throws {
        guard let vm, vm.operation == job.id else { return }
        var next = vm
        next.operation = nil
        _ = try replace(vm, with: next)
    }

    /// The record says that the VM waits for the host's answer, if it is still placed there.
    func loseSight(ofPlacementOf job: Job) throws {
        guard let vm = try vm(job.vm), vm.state.placement == job.placement else { return }
        try loseSight(of: vm, on: job.host, reasonUnreachable(job.host) ?? .outcomeUnknown)
    }
}
