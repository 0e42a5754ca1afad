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
            conflicts: view.conflicts.map { DomainSighting($0) }, labels: vm.labels.values,
            placement: PlacementRulesResource(vm.rules), revision: vm.revision,
            createdAt: vm.createdAt.rfc3339, updatedAt: vm.updatedAt.rfc3339)
    }
}

extension DomainSighting {
    package init(_ sighting: Sighting) {
        self.init(
            vm: sighting.vm.rawValue, host: sighting.host.rawValue, epoch: sighting.epoch.rawValue,
            state: sighting.state, seenAt: sighting.seenAt.rfc3339)
    }
}
