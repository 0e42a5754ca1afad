import Domain

/// Pauses, resumes, resets or reboots a guest. It is sent once: what became of a lost answer is found out, and never sent again,
/// because the guest may be another by then.
struct ControlOperation: Workflow {
    let context: Context
    let control: GuestControl

    func attempt(_ job: Job) async throws -> Attempt {
        guard let session = try await sessionIfWanted(job) else {
            return try await context.supersede(job, "\(control.rawValue).superseded")
        }
        guard job.attempts == 1 else { return try await findOut(job) }
        await context.faults.reach("\(control.rawValue).before-command")
        let command = ControlVMCommand(
            vm: job.vm, epoch: job.epoch, control: control, timeout: .seconds(job.payload.timeout ?? 0))
        let end = await context.driver(of: job.host).control(command, as: job.command)
        await context.faults.reach("\(control.rawValue).before-write")
        switch end {
        case .done(let result): return try await finish(job, result, sentIn: session)
        case .notSent(let fault), .rejected(let fault), .failed(let fault): return try await giveUp(job, fault)
        case .outcomeUnknown(let fault):
            if !Task.isCancelled { try await loseSight(job) }
            return .again(fault, .answer)
        }
    }

    /// The host's session before the command is sent; nil if nobody wants this any more.
    private func sessionIfWanted(_ job: Job) async throws -> Int64? {
        try await context.database.read { tx in
            guard let vm = try tx.vm(job.vm), vm.operation == job.id, vm.state.placement == job.placement else {
                return nil
            }
            return try tx.session(of: job)
        }
    }

    /// Asks the agent what became of the command. Whatever it was, the guest may have changed since: the host's inventory
    /// says how it is.
    private func findOut(_ job: Job) async throws -> Attempt {
        switch await context.sessions.settle(job.command, on: job.host, limit: context.settings.stopLimit) {
        case .ended(.done): return try await end(job, as: JobEnd(.succeeded, control.outcome))
        case .ended(.rejected(let fault)), .ended(.failed(let fault)): return try await giveUp(job, fault)
        case .neverReceived:
            return try await giveUp(
                job, Fault(.unavailable, .hostUnreachable, "The host never got the \(control.rawValue)."))
        case .unknown(let fault):
            try await loseSight(job)
            return .again(fault, .host)
        }
    }

    private func finish(_ job: Job, _ result: CommandResult, sentIn session: Int64) async throws -> Attempt {
        let control = control
        try await context.database.write("\(control.rawValue).finish") { tx in
            let change = ChangeVMState(
                vm: job.vm, event: .controlled(control.seenAs), expectedHost: job.host, expectedEpoch: job.epoch,
                observation: try tx.observation(of: result, for: job, sentIn: session))
            if case .superseded(let vm) = try tx.apply(change, ending: job.id) { try tx.release(vm, from: job) }
            // The guest was paused, resumed or reset, whatever has become of it since.
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.succeeded, control.outcome))
        }
        // A hand may have changed it again before this answer came: what the host shows now has the last word.
        await context.inspect(job.host)
        return .ended
    }

    private func giveUp(_ job: Job, _ fault: Fault) async throws -> Attempt { try await end(job, as: .failed(fault)) }

    /// Ends the operation, and asks the host how the guest is.
    private func end(_ job: Job, as end: JobEnd) async throws -> Attempt {
        try await context.database.write("\(control.rawValue).end") { tx in
            let change = ChangeVMState(
                vm: job.vm, event: .controlGivenUp, expectedHost: job.host, expectedEpoch: job.epoch)
            if case .superseded(let vm) = try tx.apply(change, ending: job.id) { try tx.release(vm, from: job) }
            try tx.end(job, underLease: job.leaseToken, as: end)
        }
        await context.inspect(job.host)
        return .ended
    }

    private func loseSight(_ job: Job) async throws {
        try await context.database.write("\(control.rawValue).unknown") { tx in try tx.loseSight(ofPlacementOf: job) }
    }
}
