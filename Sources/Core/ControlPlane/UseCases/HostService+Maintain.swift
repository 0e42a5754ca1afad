package import Domain

/// What would become of the VMs of a host.
package struct DrainPreview: Sendable {
    package let host: Host
    package let plan: DrainPlan
}

extension HostService {
    /// Puts the host in maintenance, so that it takes no VM from now on, and accepts a drain: every running or paused VM moves
    /// to another host while it runs. A VM that cannot move stays and runs on, and the drain waits for it; with
    /// `stopsImmovable` such a VM is stopped, by its power button at first.
    ///
    /// Asked again while a drain of the host is open, the operation is the same; `stopsImmovable` can be added to it.
    package func maintain(_ reference: String, stopsImmovable: Bool, by caller: Caller) async throws -> Job {
        let ids = context.ids
        return try await context.database.write("host.maintain") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveJob(earlier, .operation) }
            let host = try tx.resolveHost(reference)
            try caller.check(revision: host.revision)
            switch host.state {
            case .enabled, .disabled: _ = try tx.setState(.maintenance, of: host, by: caller.principal)
            case .maintenance: break
            }
            let drain =
                try tx.openDrain(of: host.id).map { try tx.strengthen($0, stopsImmovable) }
                ?? tx.enqueue(.drain(of: host.id, stopsImmovable, by: caller.principal, ids: ids, now: tx.now))
            try tx.remember(caller, resource: drain.id.rawValue)
            return drain
        }
    }

    /// What a drain of the host would do now. Changes and reserves nothing.
    package func drainPlan(of reference: String) async throws -> DrainPreview {
        let policy = context.settings.capacity
        return try await context.database.read { tx in
            let host = try tx.resolveHost(reference)
            return DrainPreview(host: host, plan: try tx.drainPlan(of: host, tx.vms(placedOn: host.id), policy))
        }
    }
}

extension Job {
    fileprivate static func drain(
        of host: HostID, _ stopsImmovable: Bool, by principal: Principal, ids: any IDSource, now: Timestamp
    ) -> Job {
        var payload = JobPayload()
        payload.stopsImmovable = stopsImmovable
        return Job(
            id: JobID(from: ids), kind: .maintainOperation, vm: .nobody, host: host, epoch: .none, payload: payload,
            wish: 0, nextAttemptAt: now, requestedBy: principal.name, createdAt: now, updatedAt: now)
    }
}

extension JobEnd {
    /// The host is no longer in maintenance.
    static let lifted = JobEnd(.superseded, .superseded)
}

extension Transaction {
    /// Lets an open drain stop what it cannot move, if that is wanted now and was not before.
    fileprivate func strengthen(_ drain: Job, _ stopsImmovable: Bool) throws -> Job {
        guard stopsImmovable, drain.payload.stopsImmovable != true else { return drain }
        var next = drain
        next.payload.stopsImmovable = true
        if case .waiting = drain.state { next.nextAttemptAt = now }
        return try replace(next, atRevision: drain.revision)
    }
}
