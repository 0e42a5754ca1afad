/// How far the drain of a host has come, as the API shows it.
package struct DrainResource: Codable, Hashable, Sendable {
    /// How many VMs have left the host since the drain was asked for.
    package var departed: Int
    /// Those, and the ones that are still placed there.
    package var total: Int
    /// The VMs that are still placed there.
    package var vms: [DrainedVM]

    package init(departed: Int, total: Int, vms: [DrainedVM]) {
        self.departed = departed
        self.total = total
        self.vms = vms
    }
}

/// A VM that a drain has not got rid of yet.
package struct DrainedVM: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    /// `moving`, `stopping` or `staying`.
    package var stage: String
    /// The id of the host that it moves to.
    package var target: String?
    /// The move or stop that the drain asked for.
    package var operation: String?
    /// Why it stays for now: a problem's code, and a sentence.
    package var code: String?
    package var reason: String?

    package init(
        id: String, name: String, stage: String, target: String?, operation: String?, code: String?, reason: String?
    ) {
        self.id = id
        self.name = name
        self.stage = stage
        self.target = target
        self.operation = operation
        self.code = code
        self.reason = reason
    }
}

/// What `GET /v1/hosts/{host}/drain-plan` answers: what a drain of the host would do now.
package struct DrainPlanResource: Codable, Hashable, Sendable {
    /// The host's id.
    package var host: String
    /// Every VM that is placed there, the largest first.
    package var vms: [PlannedVM]

    package init(host: String, vms: [PlannedVM]) {
        self.host = host
        self.vms = vms
    }
}

/// What a drain would do with one VM.
package struct PlannedVM: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    package var state: String
    package var cpus: Int
    package var memory: Int  // MiB
    /// `moves`, `leaves`, `immovable` or `waits`.
    package var verdict: String
    /// The id of the host that it moves to.
    package var target: String?
    /// What keeps it: a problem's code, and a sentence.
    package var code: String?
    package var reason: String?

    package init(
        id: String, name: String, state: String, cpus: Int, memory: Int, verdict: String, target: String?,
        code: String?, reason: String?
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.cpus = cpus
        self.memory = memory
        self.verdict = verdict
        self.target = target
        self.code = code
        self.reason = reason
    }
}

package struct MaintainHostRequest: Codable, Hashable, Sendable {
    /// Stop the VMs that cannot be moved.
    package var stopImmovable: Bool?

    package init(stopImmovable: Bool? = nil) { self.stopImmovable = stopImmovable }
}
