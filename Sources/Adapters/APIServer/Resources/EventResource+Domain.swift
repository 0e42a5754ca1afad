package import APIContract
package import ControlPlane

extension EventResource {
    package init(_ numbered: NumberedEvent) {
        let event = numbered.event
        self.init(
            id: numbered.id, at: numbered.at.rfc3339, kind: event.kind, vm: event.vm?.rawValue,
            host: event.host?.rawValue, job: event.job?.rawValue, epoch: event.epoch?.rawValue,
            message: event.message, principal: event.principal)
    }
}
