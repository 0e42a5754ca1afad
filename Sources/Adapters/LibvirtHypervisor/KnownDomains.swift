import Domain
import HostAgent

/// Which of Roost's domains are known to run here, and what a notice of libvirt's tells about them.
///
/// When a domain's end is told, its metadata is gone with it; so its epoch is remembered. A notice can be late, and
/// another domain of the same VM may run by then: every notice is judged by what libvirt shows *after* it arrived.
struct KnownDomains: Sendable {
    /// As last told to the agent.
    private var running: [VMID: Known] = [:]
    /// Starts that were asked for and whose first notice has not come.
    private var starting: [VMID: Epoch] = [:]
    private var endingFromOutside: Set<VMID> = []

    private struct Known: Sendable {
        /// nil: the domain is Roost's, and its epoch could not be read.
        let epoch: Epoch?
        /// nil: it was never seen, only started.
        let state: DomainState?
    }

    /// What libvirt shows of a VM's domain.
    enum Sight: Hashable, Sendable {
        case present(ObservedDomain)
        /// No domain, or none of Roost's.
        case absent
        /// libvirt answered, and not this question.
        case unreadable
    }

    /// Starts over with what libvirt lists.
    mutating func reset(to domains: [ObservedDomain]) {
        self = KnownDomains()
        for domain in domains { running[domain.vm] = Known(epoch: domain.epoch, state: domain.state) }
    }

    mutating func willStart(_ vm: VMID, _ epoch: Epoch) { starting[vm] = epoch }

    mutating func didNotStart(_ vm: VMID, _ epoch: Epoch) {
        if starting[vm] == epoch { starting[vm] = nil }
    }

    /// The domain's metadata says another epoch now, of which libvirt tells nobody.
    mutating func didChange(_ vm: VMID, to epoch: Epoch) {
        guard let known = running[vm] else { return }
        running[vm] = Known(epoch: epoch, state: known.state)
    }

    func isKnown(_ vm: VMID) -> Bool { running[vm] != nil }

    /// What `notice` tells the agent, given what libvirt shows of the VM now.
    mutating func events(after notice: LifecycleNotice, seeing sight: Sight) -> [HypervisorEvent] {
        let vm = notice.vm
        switch notice.kind {
        case .definition, .rebooted:
            return []
        case .endingFromOutside:
            if isKnown(vm) { endingFromOutside.insert(vm) }
            return []
        case .changed:
            switch sight {
            case .present(let domain): return learn(domain)
            case .absent:
                // It ran and is gone already; the notice of its end follows and needs the epoch.
                if let epoch = starting.removeValue(forKey: vm) {
                    running[vm] = Known(epoch: epoch, state: nil)
                }
                return []
            case .unreadable: return isKnown(vm) ? [.changed(vm, nil, .running)] : []
            }
        case .stopped(let told):
            return stopped(vm, endingFromOutside.remove(vm) != nil && told == .guestShutdown ? .failed : told, sight)
        }
    }

    private mutating func stopped(_ vm: VMID, _ cause: StopCause, _ sight: Sight) -> [HypervisorEvent] {
        switch sight {
        case .absent:
            guard let known = running.removeValue(forKey: vm) else { return [] }
            return [.changed(vm, known.epoch, .gone(cause))]
        case .present(let domain):
            guard let before = running[vm]?.epoch, before != domain.epoch else { return learn(domain) }
            return [.changed(vm, before, .gone(cause))] + learn(domain)
        case .unreadable:
            guard isKnown(vm) else { return [] }
            return [.changed(vm, nil, .gone(cause))]
        }
    }

    private mutating func learn(_ domain: ObservedDomain) -> [HypervisorEvent] {
        let before = running.updateValue(Known(epoch: domain.epoch, state: domain.state), forKey: domain.vm)
        if let epoch = domain.epoch, starting[domain.vm] == epoch { starting[domain.vm] = nil }
        if let before, before.epoch == domain.epoch, before.state == domain.state { return [] }
        return [.changed(domain.vm, domain.epoch, domain.state)]
    }
}
