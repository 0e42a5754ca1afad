package import APIContract
package import ControlPlane
package import Domain

extension VMResource {
    package init(_ view: VMView) {
        let vm = view.vm
        self.init(
            id: vm.id.rawValue, name: vm.name, state: vm.state.label.rawValue, stopCause: vm.state.cause?.rawValue,
            host: vm.state.placement?.host.rawValue, lastHost: vm.lastHost?.rawValue,
            destination: vm.state.destination?.host.rawValue, epoch: vm.epoch.rawValue, cpus: vm.cpus,
            memory: vm.memory, image: vm.image.rawValue, operation: vm.operation?.rawValue,
            waitingFor: view.waitingFor.map { WaitingFor(host: $0.host.rawValue, reason: $0.reason.rawValue) },
            expungeAt: vm.state == .destroyed ? vm.expungeAt?.rfc3339 : nil,
            conflicts: view.conflicts.map { DomainSighting($0) },
            needsAttention: view.parked.map { ParkedJob($0) }, labels: vm.labels.values,
            placement: PlacementRulesResource(vm.rules), revision: vm.revision,
            createdAt: vm.createdAt.rfc3339, updatedAt: vm.updatedAt.rfc3339)
    }
}

extension ParkedJob {
    init(_ job: Job) {
        let hint =
            switch job.kind.purpose {
            case .gc:
                "roost gc explain \(job.id) says more; roost gc run \(job.id) tries it again, roost gc delete \(job.id) "
                    + "gives it up."
            case .operation: "roost operation show \(job.id) says more; roost operation cancel \(job.id) gives it up."
            }
        self.init(
            job: job.id.rawValue, kind: job.label, host: job.host.rawValue, error: job.lastError?.message ?? "",
            hint: hint)
    }
}

extension DomainSighting {
    package init(_ sighting: Sighting) {
        self.init(
            vm: sighting.vm.rawValue, host: sighting.host.rawValue, epoch: sighting.epoch.rawValue,
            state: sighting.state, seenAt: sighting.seenAt.rfc3339)
    }
}
