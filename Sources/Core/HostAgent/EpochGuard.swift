import Domain

/// Decides, from what this host has seen, whether a command's epoch may act. Pure.
enum EpochGuard {
    /// Why a start of `epoch` is refused; nil if it may go on.
    ///
    /// An epoch's domain lives once: once it was begun or seen here, only the command that began it may go on with it. A late
    /// copy whose end was forgotten already must not bring up again what has ended since.
    static func refusalOfStart(_ vm: VMID, _ epoch: Epoch, _ mark: EpochMark, isResumed: Bool) -> Fault? {
        if epoch < mark.highest {
            return stale(vm, epoch, "this host has seen epoch \(mark.highest)")
        }
        if epoch == mark.highest, !isResumed { return stale(vm, epoch, "that epoch was begun here before") }
        if epoch <= mark.closed { return stale(vm, epoch, "that epoch was stopped here") }
        return nil
    }

    /// Why it is refused to remove what lies here, as was decided for `epoch`; nil if it may go.
    ///
    /// It belongs to the highest epoch seen here: an older clean-up must not remove it. A destroy that leaves it alone is about
    /// its own domain only, as a stop is.
    static func refusalOfRemoval(_ vm: VMID, _ epoch: Epoch, _ mark: EpochMark) -> Fault? {
        epoch < mark.highest ? stale(vm, epoch, "this host has seen epoch \(mark.highest)") : nil
    }

    /// What a command of `epoch` may do, given the domain that libvirt shows.
    static func verdict(on domain: ObservedDomain?, _ epoch: Epoch) -> Verdict {
        guard let domain, domain.state.isLive else { return .absent }
        guard let found = domain.epoch else { return .unreadable }
        return found == epoch ? .match : .other(found)
    }

    enum Verdict: Hashable, Sendable {
        /// libvirt answered that there is none.
        case absent
        case match
        case other(Epoch)
        /// There is one, and its epoch cannot be read: nothing may touch it.
        case unreadable
    }

    static func stale(_ vm: VMID, _ epoch: Epoch, _ because: String) -> Fault {
        Fault(.conflict, .staleEpoch, "The command was decided for epoch \(epoch) of VM \(vm), and \(because).")
    }
}
