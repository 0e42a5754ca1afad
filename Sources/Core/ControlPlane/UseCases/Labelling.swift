package import Domain

extension VMService {
    /// Changes the VM's labels. VMs that are placed stay where they are; labels count when one is placed.
    package func label(_ reference: String, _ patch: LabelPatch, by caller: Caller) async throws -> VMView {
        try await context.database.write("vm.labels") { tx in
            let vm = try tx.resolveVM(reference)
            try caller.check(revision: vm.revision)
            switch vm.state {
            case .destroyed, .expunging: throw Fault.impossible("labelled", vm)
            case .created, .starting, .running, .pausing, .paused, .resuming, .rebooting, .migrating, .stopping,
                .stopped, .crashed, .unknown, .destroying:
                break
            }
            var next = vm
            next.labels = try vm.labels.applying(patch)
            guard next.labels != vm.labels else { return try tx.view(of: vm) }
            let stored = try tx.replace(vm, with: next, by: caller.principal)
            try tx.append(
                Event(
                    kind: "vm.labels", vm: vm.id, message: stored.labels.sentence(of: "VM \(vm.name)"),
                    principal: caller.principal.name))
            return try tx.view(of: stored)
        }
    }
}

extension HostService {
    /// Changes the host's labels. VMs that are placed stay where they are; labels count when one is placed.
    package func label(_ reference: String, _ patch: LabelPatch, by caller: Caller) async throws -> HostView {
        try await context.database.write("host.labels") { tx in
            let host = try tx.resolveHost(reference)
            try caller.check(revision: host.revision)
            var next = host
            next.labels = try host.labels.applying(patch)
            guard next.labels != host.labels else { return try tx.view(of: host) }
            let stored = try tx.replace(next, atRevision: host.revision)
            try tx.append(
                Event(
                    kind: "host.labels", host: host.id, message: stored.labels.sentence(of: "Host \(host.name)"),
                    principal: caller.principal.name))
            return try tx.view(of: stored)
        }
    }

    /// What placements on the host may hold together; nil until its agent has said how large it is.
    package func allocatable(of host: Host) -> Allocation? {
        host.facts.map { context.settings.capacity.allocatable(of: Allocation($0)) }
    }
}

extension Labels {
    fileprivate func sentence(of subject: String) -> String {
        isEmpty ? "\(subject) has no labels now." : "\(subject) has the labels \(self) now."
    }
}
