import Domain
import HostAgent
import Testing

@testable import LibvirtHypervisor

@Suite struct DomainXMLTests {
    @Test func `an emulated guest that boots a kernel`() {
        #expect(
            DomainXML(spec: sampleSpec(), type: .qemu).text == """
                <domain type='qemu'>
                  <name>web-1-3f2b9c1e</name>
                  <uuid>3f2b9c1e-0000-4000-8000-0123456789ab</uuid>
                  <title>web-1</title>
                  <metadata><roost:vm xmlns:roost="https://roost.dev/domain/1" id="3f2b9c1e-0000-4000-8000-0123456789ab" epoch="7"/></metadata>
                  <memory unit='MiB'>512</memory>
                  <vcpu>2</vcpu>
                  <os>
                    <type arch='x86_64' machine='q35'>hvm</type>
                    <kernel>/pool/k</kernel>
                    <initrd>/pool/i</initrd>
                    <cmdline>console=ttyS0</cmdline>
                  </os>
                  <features><acpi/><apic/></features>
                  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
                  <clock offset='utc'/>
                  <on_poweroff>destroy</on_poweroff>
                  <on_reboot>restart</on_reboot>
                  <on_crash>destroy</on_crash>
                  <devices>
                    <controller type='usb' model='none'/>
                    <serial type='file'>
                      <source path='/var/console/1.log' append='on'/>
                      <target port='0'/>
                    </serial>
                    <memballoon model='none'/>
                    <panic model='isa'/>
                    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
                  </devices>
                </domain>

                """)
    }

    @Test func `a guest under KVM that boots its disk, unconfined`() {
        let xml = DomainXML(
            spec: sampleSpec(boot: .disk("/pool/disks/a.qcow2")), type: .kvm, diskCache: "writeback",
            confinement: .unconfined(model: "apparmor")
        ).text
        #expect(xml.hasPrefix("<domain type='kvm'>\n"))
        #expect(xml.contains("<cpu mode='host-model' check='partial'/>"))
        #expect(
            xml.contains(
                """
                    <disk type='file' device='disk'>
                      <driver name='qemu' type='qcow2' cache='writeback' discard='unmap'/>
                      <source file='/pool/disks/a.qcow2'/>
                      <target dev='vda' bus='virtio'/>
                    </disk>
                    <controller type='usb' model='none'/>

                """))
        #expect(
            xml.hasSuffix(
                """
                  <seclabel type='none' model='apparmor'/>
                  <seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>
                </domain>

                """))
    }

    @Test func `nothing that a user chose becomes markup`() {
        let nasty = "</title><devices>\"'&\u{0}\n"
        let boot = BootFiles.kernel(kernel: "/a&b", initrd: "/a<b", commandLine: nasty)
        let xml = DomainXML(spec: sampleSpec(name: nasty, boot: boot), type: .qemu).text
        #expect(xml.components("<devices>") == 1)
        #expect(xml.contains("<title>&lt;/title&gt;&lt;devices&gt;&quot;&apos;&amp;\u{FFFD} </title>"))
        #expect(xml.contains("<kernel>/a&amp;b</kernel>"))
        #expect(xml.contains("<cmdline>&lt;/title&gt;&lt;devices&gt;&quot;&apos;&amp;\u{FFFD}&#10;</cmdline>"))
    }

    @Test(arguments: [
        ("web-1", "web-1-3f2b9c1e"), ("Büro & Co", "B-ro---Co-3f2b9c1e"), ("../../etc", "etc-3f2b9c1e"),
        ("-rf", "rf-3f2b9c1e"), ("", "vm-3f2b9c1e"), ("???", "vm-3f2b9c1e"),
        (String(repeating: "x", count: 300), String(repeating: "x", count: 48) + "-3f2b9c1e"),
    ])
    func `a domain's name is readable, safe and unique`(name: String, expected: String) {
        #expect(DomainName.make(vmName: name, vm: sampleVM) == expected)
    }
}

extension String {
    fileprivate func components(_ part: String) -> Int { ranges(of: part).count }
}
