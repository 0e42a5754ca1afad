/// How guests are to run on a host.
package enum Acceleration: String, CaseIterable, Sendable {
    /// KVM where a test guest really boots with it, else software emulation.
    case auto
    /// KVM, untested.
    case kvm
    /// Software emulation (TCG).
    case qemu
}

extension LibvirtHypervisor {
    /// The hypervisor at `uri`, with an operator's choice of how guests run.
    package convenience init(uri: String, acceleration: Acceleration) {
        let finding: AccelerationProbe.Finding? =
            switch acceleration {
            case .auto: nil
            case .kvm: AccelerationProbe.Finding(type: .kvm, reason: "The agent was started with --acceleration kvm.")
            case .qemu:
                AccelerationProbe.Finding(type: .qemu, reason: "The agent was started with --acceleration qemu.")
            }
        self.init(uri: uri, confinement: .libvirt, limits: Limits(), finding: finding)
    }
}
