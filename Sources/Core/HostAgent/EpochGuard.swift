import Domain

/// Decides, from what this host has seen, whether a command's epoch may act. Pure.
enum EpochGuard {
    /// Why a start of `epoch` is refused; nil if it may go on.
    static func refusalOfStart(_ vm: VMID, _ epoch: Epoch, _ mark: EpochMark) -> Fault? {
        if epoch < mark.highest {
            return stale(vm, epoch, "this host has seen epoch \(mark.highest)")
        }
        if epoch <= mark.closed { return stale(vm, epoch, "that epoch was stopped here") }
        return nil
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
