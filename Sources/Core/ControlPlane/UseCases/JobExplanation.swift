package import Domain

/// What a GC job's owner can know of it; the words are derived from the facts.
package struct JobExplanation: Sendable {
    package let job: Job
    package let vm: VM?
    package let host: Host?
    package let steps: [JobStep]

    private var vmName: String { vm?.name ?? job.vm.rawValue }
    private var hostName: String { host?.name ?? job.host.rawValue }

    package var doing: String {
        guard job.unreadable == nil else { return unreadable }
        return switch job.kind {
        case .startOperation:
            "Starts a domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName)."
        case .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation:
            "Asks host \(hostName) once to \(job.label) the domain of VM \(vmName) with epoch \(job.epoch), and finds "
                + "out what came of it."
        case .migrateOperation:
            "Moves VM \(vmName) from host \(hostName) to another, and finds out where it is."
        case .adoptVM:
            "Gives the domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName) the epoch that was granted for it, "
                + "and places the VM there."
        case .maintainOperation: "Drains host \(hostName)."
        case .stopVM, .stopOperation:
            "Stops the domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName) "
                + "(\(job.payload.mode?.rawValue ?? "cold")), and no other; then records the VM as stopped if it is still "
                + "placed there with that epoch."
        case .destroyVM, .destroyOperation:
            "Ends the domain of VM \(vmName) with epoch \(job.epoch) on host \(hostName), if there is one"
                + (job.payload.removesDisk ?? true
                    ? ", and removes its root disk and what else it holds there." : "; its root disk stays.")
        case .deleteVolume, .expungeOperation:
            "Removes the root disk and the console log of VM \(vmName) from host \(hostName), and a domain with epoch "
                + "\(job.epoch), should there be one"
                + (vm?.state == .expunging && vm?.latestPlacement == job.placement
                    ? "; then the VM's record." : ". No record owns what lies there.")
        case .releasePlacement:
            "Removes the console log that VM \(vmName) has left on host \(hostName), where it was with epoch \(job.epoch) and "
                + "is not any more."
        case .recoverOperation: "Brings the destroyed VM \(vmName) back."
        case .unknownOperation, .unknownGC: unreadable
        }
    }

    private var unreadable: String {
        "Nothing: this release of Roost cannot read it. It is about VM \(vmName) with epoch \(job.epoch) on host "
            + "\(hostName), and is kept as it was written."
    }

    package var waitsBecause: String {
        switch job.state {
        case .ended(let end): return "It has ended: \(end.outcome.rawValue)."
        case .running: return "It does not wait: \(job.owner ?? "a node") works on it."
        case .parked:
            return "It needs attention, and is not tried again by itself: \(job.lastError?.message ?? "")"
        case .waiting: break
        }
        guard let host, host.deletedAt == nil else { return "Its host was deleted; the next attempt cancels it." }
        guard host.connection == .connected else { return "Host \(hostName) is \(host.connection.rawValue)." }
        guard host.libvirtAnswers else { return "libvirt on host \(hostName) does not answer." }
        return job.lastError.map { "The latest attempt failed: \($0.message)" } ?? "It is due."
    }

    package var wokenBy: [String] {
        switch job.state {
        case .ended: return []
        case .parked: return ["roost gc run \(job.id), and nothing else"]
        case .waiting, .running: break
        }
        return [
            "the next session of host \(hostName)", "libvirt on host \(hostName) answering again",
            "roost gc run \(job.id)", "its next attempt, at the latest",
        ]
    }

    package var cancelledBy: [String] {
        guard !job.state.isEnded else { return [] }
        var reasons = ["deleting host \(hostName) with --force"]
        if isCancellable { reasons.append("roost gc delete \(job.id)") }
        if job.kind == .stopVM, vm != nil {
            reasons.append("deleting VM \(vmName), whose own job then ends the domain")
        }
        return reasons
    }

    private var isCancellable: Bool {
        switch job.kind {
        case .destroyVM: vm?.state.label != .destroying
        case .deleteVolume: !(vm?.isEnded(by: job) ?? false)
        case .stopVM, .adoptVM, .releasePlacement, .unknownGC: true
        case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
            .migrateOperation, .destroyOperation, .recoverOperation, .expungeOperation,
            .maintainOperation, .unknownOperation:
            false
        }
    }
}
