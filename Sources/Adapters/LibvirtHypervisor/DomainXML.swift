import Domain
import HostAgent

/// A domain's description for libvirt.
struct DomainXML: Hashable, Sendable {
    let spec: DomainSpec
    let type: DomainType
    /// `none`, or `writeback` where the disk's filesystem knows no direct I/O.
    var diskCache = "none"
    var confinement = SecurityLabels.libvirtDefault

    /// The labels that QEMU runs under, as decided for this host.
    enum SecurityLabels: Hashable, Sendable {
        case libvirtDefault
        /// As root, its files left as they are; `model` is the host's mandatory access control, where it has one.
        case unconfined(model: String?)
    }

    var text: String {
        """
        <domain type='\(type.rawValue)'>
          <name>\(XMLText.escape(DomainName.make(vmName: spec.name, vm: spec.vm)))</name>
          <uuid>\(spec.vm)</uuid>
          <title>\(XMLText.escape(title))</title>
          <metadata>\(DomainMetadata(vm: spec.vm, epoch: spec.epoch).element)</metadata>
          <memory unit='MiB'>\(spec.memory)</memory>
          <vcpu>\(spec.cpus)</vcpu>
        \(boot)
          <features><acpi/><apic/></features>
        \(cpu)
          <clock offset='utc'/>
          <on_poweroff>destroy</on_poweroff>
          <on_reboot>restart</on_reboot>
          <on_crash>destroy</on_crash>
          <devices>
        \(disk)    <controller type='usb' model='none'/>
            <serial type='file'>
              <source path='\(XMLText.escape(spec.consoleLog))' append='on'/>
              <target port='0'/>
            </serial>
            <memballoon model='none'/>
            <panic model='isa'/>
            <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
          </devices>
        \(labels)</domain>

        """
    }

    /// libvirt refuses a title with a line break.
    private var title: String { String(spec.name.map { $0.isNewline ? " " : $0 }) }

    private var boot: String {
        let machine = "    <type arch='x86_64' machine='q35'>hvm</type>"
        switch spec.boot {
        case .kernel(let kernel, let initrd, let commandLine):
            return """
                  <os>
                \(machine)
                    <kernel>\(XMLText.escape(kernel))</kernel>
                    <initrd>\(XMLText.escape(initrd))</initrd>
                    <cmdline>\(XMLText.escape(commandLine))</cmdline>
                  </os>
                """
        case .disk:
            return """
                  <os>
                \(machine)
                    <boot dev='hd'/>
                  </os>
                """
        }
    }

    private var cpu: String {
        switch type {
        case .kvm: "  <cpu mode='host-model' check='partial'/>"
        // Emulated CPUs are the same on every host, so that a guest can move between any two.
        case .qemu, .test:
            "  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>"
        }
    }

    private var disk: String {
        switch spec.boot {
        case .kernel: ""
        case .disk(let path):
            """
                <disk type='file' device='disk'>
                  <driver name='qemu' type='qcow2' cache='\(diskCache)' discard='unmap'/>
                  <source file='\(XMLText.escape(path))'/>
                  <target dev='vda' bus='virtio'/>
                </disk>

            """
        }
    }

    private var labels: String {
        switch confinement {
        case .libvirtDefault: return ""
        case .unconfined(let model):
            let mandatory = model.map { "  <seclabel type='none' model='\(XMLText.escape($0))'/>\n" } ?? ""
            return mandatory + "  <seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>\n"
        }
    }
}

/// How guests run.
enum DomainType: String, Sendable {
    case kvm
    /// Software emulation.
    case qemu
    /// libvirt's built-in driver, which runs nothing.
    case test
}
