package import Domain

extension VMService {
    /// Accepts a pause, resume, reset or reboot: the guest keeps its domain, its placement and its epoch.
    ///
    /// It is meant for the guest as it is now, so it is never left for later: refused while the host cannot be asked.
    ///
    /// - Parameter timeout: the guest's own time for a reboot, seconds.
    package func control(
        _ reference: String, _ control: GuestControl, timeout: Int = 120, by caller: Caller
    ) async throws -> Job {
        guard StopRequest.timeoutLimits.contains(timeout) else {
            throw Fault.invalid("timeout", "must be from 0 to \(StopRequest.timeoutLimits.upperBound) seconds.")
        }
        let ids = context.ids
        return try await context.database.write("vm.\(control.rawValue)") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let vm = try tx.resolveVM(reference)
            try caller.check(revision: vm.revision)
            try tx.checkIdle(vm)
            guard var next = try? vm.after(.controlRequested(control)), let placement = vm.state.placement else {
                throw Fault.impossible(control.participle, vm)
            }
            if let lost = try tx.reasonUnreachable(placement.host) {
                throw try tx.unreachable(placement.host, lost, control.rawValue, isDeferrable: false)
            }
            next.wish += 1
            let operation = Job.fresh(
                JobKind(control), for: next, at: placement,
                payload: JobPayload(timeout: control == .reboot ? timeout : nil),
                by: caller.principal, ids: ids,
                now: tx.now)
            next.operation = operation.id
            _ = try tx.replace(vm, with: next, by: caller.principal)
            try tx.remember(caller, resource: operation.id.rawValue)
            return try tx.enqueue(operation)
        }
    }
}

extension GuestControl {
    fileprivate var participle: String {
        switch self {
        case .pause: "paused"
        case .resume: "resumed"
        case .reset: "reset"
        case .reboot: "rebooted"
        }
    }
}
