import Domain

/// Brings a VM to life where its start was granted.
///
/// Each attempt sends the same command: the agent runs it once and remembers its end, so a lost answer is asked for again
/// and never becomes a second start.
struct StartOperation: Workflow {
    let context: Context

    func attempt(_ job: Job) async throws -> Attempt {
        guard let command = try await command(for: job) else { return try await supersede(job) }
        await context.faults.reach("start.before-command")
        let end = await context.driver(of: job.host).start(command, as: job.command)
        await context.faults.reach("start.before-write")
        switch end {
        case .done:
            try await finish(job)
            return .ended
        case .rejected(let fault), .failed(let fault):
            try await fail(job, fault)
            return .ended
        case .notSent(let fault):
            // Only the first attempt knows that no earlier one was sent.
            guard job.attempts > 1 else {
                try await fail(job, fault)
                return .ended
            }
            try await loseSight(job)
            return .again(fault, .host)
        case .outcomeUnknown(let fault):
            // A node that stops gives the job back as it is.
            if !Task.isCancelled { try await loseSight(job) }
            return .again(fault, .answer)
        }
    }

    /// What to send, or nil if the VM has moved on.
    private func command(for job: Job) async throws -> StartVMCommand? {
        try await context.database.read { tx in
            guard let vm = try tx.vm(job.vm), vm.state.placement == job.placement, vm.operation == job.id,
                let image = try tx.image(vm.image)
            else { return nil }
            return StartVMCommand(
                vm: vm.id, epoch: job.epoch, name: vm.name, cpus: vm.cpus, memory: vm.memory,
                image: ImageSource(
                    id: image.id, kind: image.kind, commandLine: image.commandLine, files: image.files))
        }
    }

    private func finish(_ job: Job) async throws {
        let change = ChangeVMState(
            vm: job.vm, event: .started, expectedHost: job.host, expectedEpoch: job.epoch)
        try await context.database.write("start.finish") { tx in
            let end: JobEnd
            switch try tx.apply(change, ending: job.id) {
            case .applied: end = JobEnd(.succeeded, .started)
            case .superseded(let vm):
                try tx.release(vm, from: job)
                // The guest may have ended before the answer came; it was started all the same.
                let isItsEpoch = vm?.epoch == job.epoch && vm?.state.placement == nil
                end = isItsEpoch ? JobEnd(.succeeded, .started) : JobEnd(.superseded, .superseded)
            }
            try tx.end(job, underLease: job.leaseToken, as: end)
        }
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
            try tx.release(tx.vm(job.vm), from: job)
            try tx.end(job, underLease: job.leaseToken, as: JobEnd(.superseded, .superseded))
        }
        return .ended
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
        let next = try vm.after(.hostLost(reasonUnreachable(job.host) ?? .outcomeUnknown))
        if next != vm { _ = try replace(vm, with: next) }
    }
}
