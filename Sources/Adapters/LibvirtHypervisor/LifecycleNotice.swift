import CLibvirt
import Domain

/// A lifecycle event of libvirt's, as it arrives: a hint to look, and for an end also its cause.
struct LifecycleNotice: Hashable, Sendable {
    let vm: VMID
    let kind: Kind

    enum Kind: Hashable, Sendable {
        /// It exists, or does something else now.
        case changed
        /// QEMU was told to end by a signal from outside; the end itself follows.
        case endingFromOutside
        case stopped(StopCause)
        /// The guest booted anew; the domain is the same.
        case rebooted
        /// The domain's definition changed; nothing runs more or less for that.
        case definition
    }

    init(vm: VMID, kind: Kind) {
        self.vm = vm
        self.kind = kind
    }

    init(vm: VMID, event: Int32, detail: Int32) {
        self.init(vm: vm, kind: Kind(event: UInt32(bitPattern: event), detail: UInt32(bitPattern: detail)))
    }
}

extension LifecycleNotice.Kind {
    /// An event that a newer libvirt adds is a change: it is looked at.
    init(event: UInt32, detail: UInt32) {
        switch event {
        case VIR_DOMAIN_EVENT_DEFINED.rawValue, VIR_DOMAIN_EVENT_UNDEFINED.rawValue: self = .definition
        case VIR_DOMAIN_EVENT_SHUTDOWN.rawValue:
            self = detail == VIR_DOMAIN_EVENT_SHUTDOWN_HOST.rawValue ? .endingFromOutside : .changed
        case VIR_DOMAIN_EVENT_STOPPED.rawValue: self = .stopped(Self.cause(detail))
        default: self = .changed
        }
    }

    private static func cause(_ detail: UInt32) -> StopCause {
        switch detail {
        case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN.rawValue: .guestShutdown
        case VIR_DOMAIN_EVENT_STOPPED_DESTROYED.rawValue: .domainDestroyed
        case VIR_DOMAIN_EVENT_STOPPED_MIGRATED.rawValue: .movedAway
        // QEMU killed by a signal ends as FAILED, a guest that says it panicked as CRASHED.
        case VIR_DOMAIN_EVENT_STOPPED_CRASHED.rawValue, VIR_DOMAIN_EVENT_STOPPED_FAILED.rawValue: .failed
        default: .foundGone
        }
    }
}
