/// What `POST /v1/placements` answers: where a VM would start.
package struct PlacementResource: Codable, Hashable, Sendable {
    /// The id of the host that would be chosen; nil if none can take the VM.
    package var host: String?
    /// Every host, the best first.
    package var hosts: [PlacementHost]

    package init(host: String?, hosts: [PlacementHost]) {
        self.host = host
        self.hosts = hosts
    }
}

/// What placement says of one host.
package struct PlacementHost: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    /// Whether it can take the VM.
    package var fits: Bool
    /// MiB that no placement holds.
    package var freeMemory: Int
    /// Why it cannot take the VM.
    package var reason: String?

    package init(id: String, name: String, fits: Bool, freeMemory: Int, reason: String?) {
        self.id = id
        self.name = name
        self.fits = fits
        self.freeMemory = freeMemory
        self.reason = reason
    }
}

/// The body of `POST /v1/placements`.
package struct PlanPlacementRequest: Codable, Hashable, Sendable {
    package var cpus: Int
    package var memory: Int

    package init(cpus: Int, memory: Int) {
        self.cpus = cpus
        self.memory = memory
    }
}
