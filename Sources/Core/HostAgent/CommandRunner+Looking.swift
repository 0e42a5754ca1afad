import Domain

/// What libvirt shows of a VM's domain, for a command that is about to act or has acted on it.
extension CommandRunner {
    /// What libvirt shows as a command comes. Before it began, a silent libvirt is a reason to refuse it. One that is resumed
    /// has effects already, so that it can only wait.
    func firstVerdict(_ vm: VMID, _ epoch: Epoch, _ run: Run) async throws -> EpochGuard.Verdict {
        guard run.isResumed else { return EpochGuard.verdict(on: try await hypervisor.domain(of: vm), epoch) }
        return try await verdictOnceVisible(vm, epoch)
    }

    /// The same for a start, which is not answered while its own domain may be the one that libvirt is still at.
    func firstVerdict(of start: StartVMCommand, _ run: Run) async throws -> EpochGuard.Verdict {
        if !run.isResumed {
            let domain = try await hypervisor.domain(of: start.vm)
            if domain?.state != .starting { return EpochGuard.verdict(on: domain, start.epoch) }
        }
        return try await verdictOnceClear(start.vm, start.epoch).get()
    }

    /// What libvirt shows, waiting for it to answer if it does not: once a command has begun, its end is what libvirt shows
    /// and nothing else. The server's own limit makes such an end unknown, and it asks again.
    func verdictOnceVisible(_ vm: VMID, _ epoch: Epoch) async throws(CancellationError) -> EpochGuard.Verdict {
        EpochGuard.verdict(on: try await domainOnceVisible(vm), epoch)
    }

    /// The same, waiting also while there is a domain whose epoch cannot be read, and for some time while libvirt has not
    /// finished its start. A libvirtd that died in the middle of it never does; then it fails, as it does
    /// once somebody wants the domain ended.
    func verdictOnceClear(
        _ vm: VMID, _ epoch: Epoch
    ) async throws(CancellationError) -> Result<EpochGuard.Verdict, StillStarting> {
        let deadline = time.monotonic() + startLimit
        while true {
            let domain = try await domainOnceVisible(vm)
            let verdict = EpochGuard.verdict(on: domain, epoch)
            switch (verdict, domain?.state) {
            case (.match, .starting):
                if time.monotonic() >= deadline || isEndAwaited(vm, epoch) { return .failure(StillStarting()) }
            case (.unreadable, _):
                logger.warning(
                    "a domain's epoch cannot be read; its start waits for it",
                    metadata: ["vm": "\(vm)", "epoch": "\(epoch)"])
            case (.match, _), (.absent, _), (.other, _): return .success(verdict)
            }
            try await pause(retryInterval)
        }
    }

    func domainOnceVisible(_ vm: VMID) async throws(CancellationError) -> ObservedDomain? {
        while true {
            do throws(HypervisorError) { return try await hypervisor.domain(of: vm) } catch {
                logger.warning(
                    "libvirt does not answer; a command waits for it", metadata: ["vm": "\(vm)", "error": "\(error)"])
            }
            try await pause(retryInterval)
        }
    }
}
