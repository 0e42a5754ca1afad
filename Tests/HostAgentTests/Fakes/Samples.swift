import Domain
import HostAgent

let someVM = VMID(trusted: "aaaaaaaa-0000-4000-8000-00000000000a")
let otherVM = VMID(trusted: "bbbbbbbb-0000-4000-8000-00000000000b")

/// The epoch that the samples' commands are for.
let now = Epoch(5)

func commandID(_ number: Int) -> CommandID {
    let digits = String(number)
    return CommandID(
        trusted: "cccccccc-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits)
}

let first = commandID(1)
let second = commandID(2)

func start(_ epoch: Epoch = now, of vm: VMID = someVM) -> HostCommand {
    .start(
        StartVMCommand(
            vm: vm, epoch: epoch, name: "web", cpus: 1, memory: 128,
            image: ImageSource(
                id: ImageID(trusted: "dddddddd-0000-4000-8000-00000000000d"), kind: .disk, commandLine: "", files: [])))
}

func stop(
    _ mode: StopMode = .cold, _ epoch: Epoch = now, of vm: VMID = someVM, timeout: Duration = .seconds(30),
    ignoreNotFound: Bool = false
) -> HostCommand {
    .stop(StopVMCommand(vm: vm, epoch: epoch, mode: mode, timeout: timeout, ignoreNotFound: ignoreNotFound))
}

func destroy(_ epoch: Epoch = now, of vm: VMID = someVM, removesDisk: Bool = true) -> HostCommand {
    .destroy(DestroyVMCommand(vm: vm, epoch: epoch, removesDisk: removesDisk))
}

func control(_ control: GuestControl, _ epoch: Epoch = now, of vm: VMID = someVM) -> HostCommand {
    .control(ControlVMCommand(vm: vm, epoch: epoch, control: control))
}

extension CommandOutcome {
    var effect: CommandResult.Effect? {
        if case .done(let result) = self { result.effect } else { nil }
    }

    var rejection: FaultCode? {
        if case .rejected(let fault) = self { fault.code } else { nil }
    }

    var failure: Fault? {
        if case .failed(let fault) = self { fault } else { nil }
    }

    /// The outcome without numbers and texts.
    var text: String {
        switch self {
        case .done(let result): result.effect.rawValue
        case .rejected(let fault): "rejected \(fault.code.rawValue)"
        case .failed(let fault): "failed \(fault.code.rawValue)"
        }
    }
}
