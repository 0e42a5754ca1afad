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
    /// Virtual CPUs that can still be handed out; below zero where more is placed than may be.
    package var freeCPUs: Int
    /// The same in MiB.
    package var freeMemory: Int
    package var score: PlacementScoreResource
    /// Which filter refuses the host: a problem's code.
    package var code: String?
    /// Why it cannot take the VM.
    package var reason: String?

    package init(
        id: String, name: String, fits: Bool, freeCPUs: Int, freeMemory: Int, score: PlacementScoreResource,
        code: String?, reason: String?
    ) {
        self.id = id
        self.name = name
        self.fits = fits
        self.freeCPUs = freeCPUs
        self.freeMemory = freeMemory
        self.score = score
        self.code = code
        self.reason = reason
    }
}

/// What is free of all that a host may hand out. Of hosts that can take the VM the one with more memory wins, then the one
/// with more CPUs, then the first by name.
package struct PlacementScoreResource: Codable, Hashable, Sendable {
    /// Thousandths.
    package var freeMemory: Int
    /// Thousandths.
    package var freeCPUs: Int

    package init(freeMemory: Int, freeCPUs: Int) {
        self.freeMemory = freeMemory
        self.freeCPUs = freeCPUs
    }
}

/// What a VM asks of the host that it is placed on.
package struct PlacementRulesResource: Codable, Hashable, Sendable {
    /// Labels that the host must have.
    package var hostLabels: [String: String]
    /// While other VMs with the label are placed, only hosts that hold one of them will do.
    package var affinity: [String: String]
    /// A host that holds another VM with the label will not do, nor may such a VM join this one.
    package var antiAffinity: [String: String]

    package init(
        hostLabels: [String: String] = [:], affinity: [String: String] = [:], antiAffinity: [String: String] = [:]
    ) {
        self.hostLabels = hostLabels
        self.affinity = affinity
        self.antiAffinity = antiAffinity
    }
}

/// The body of `POST /v1/placements`.
package struct PlanPlacementRequest: Codable, Hashable, Sendable {
    package var cpus: Int
    package var memory: Int
    package var labels: [String: String]?
    package var placement: PlacementRulesResource?

    package init(
        cpus: Int, memory: Int, labels: [String: String]? = nil, placement: PlacementRulesResource? = nil
    ) {
        self.cpus = cpus
        self.memory = memory
        self.labels = labels
        self.placement = placement
    }
}

/// The body of `PATCH /v1/hosts/{host}` and `PATCH /v1/vms/{vm}`: a JSON merge patch.
package struct PatchLabelsRequest: Codable, Hashable, Sendable {
    /// nil removes the key.
    package var labels: [String: String?]

    package init(labels: [String: String?]) { self.labels = labels }
}
