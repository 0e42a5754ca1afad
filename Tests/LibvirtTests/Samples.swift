import Domain
import HostAgent

let sampleVM = VMID(trusted: "3f2b9c1e-0000-4000-8000-0123456789ab")
let otherVM = VMID(trusted: "00000000-1111-4222-8333-444444444444")

func sampleSpec(
    vm: VMID = sampleVM, epoch: Int64 = 7, name: String = "web-1", cpus: Int = 2,
    boot: BootFiles = .kernel(kernel: "/pool/k", initrd: "/pool/i", commandLine: "console=ttyS0")
) -> DomainSpec {
    DomainSpec(
        vm: vm, epoch: Epoch(epoch), name: name, cpus: cpus, memory: 512, boot: boot, consoleLog: "/var/console/1.log")
}
