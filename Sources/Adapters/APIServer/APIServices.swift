package import ControlPlane
package import Domain

/// The use cases that the API offers, and what it has to say about this node.
package struct APIServices: Sendable {
    package let vms: VMService
    package let hosts: HostService
    package let images: ImageService
    package let jobs: JobService
    package let events: EventService
    package let recovery: RecoveryService
    package let nodes: NodeList
    package let authenticator: Authenticator
    package let time: any TimeSource
    package let ids: any IDSource
    /// This management node's name.
    package let node: String
    package let version: String

    package init(
        vms: VMService, hosts: HostService, images: ImageService, jobs: JobService, events: EventService,
        recovery: RecoveryService, nodes: NodeList, authenticator: Authenticator, time: any TimeSource,
        ids: any IDSource, node: String,
        version: String
    ) {
        self.vms = vms
        self.hosts = hosts
        self.images = images
        self.jobs = jobs
        self.events = events
        self.recovery = recovery
        self.nodes = nodes
        self.authenticator = authenticator
        self.time = time
        self.ids = ids
        self.node = node
        self.version = version
    }
}
