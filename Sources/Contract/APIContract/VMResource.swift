/// A virtual machine, as the API shows it.
package struct VMResource: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    package var state: String
    /// Why the domain ended, for `stopped` and `crashed`.
    package var stopCause: String?
    /// The host of the placement: the only place where the VM's domain may exist.
    package var host: String?
    package var lastHost: String?
    /// The host that the VM moves to.
    package var destination: String?
    package var epoch: Int64
    package var cpus: Int
    package var memory: Int  // MiB
    package var image: String
    package var operation: String?
    package var waitingFor: WaitingFor?
    /// Until when a destroyed VM is kept and can be recovered.
    package var expungeAt: String?
    /// Live domains of this VM where none should be. Empty when all is well.
    package var conflicts: [DomainSighting]
    /// Its jobs that nobody goes on with before somebody has looked after them. Empty when all is well.
    package var needsAttention: [ParkedJob]
    package var labels: [String: String]
    package var placement: PlacementRulesResource
    package var revision: Int
    package var createdAt: String
    package var updatedAt: String

    package init(
        id: String, name: String, state: String, stopCause: String?, host: String?, lastHost: String?,
        destination: String? = nil, epoch: Int64, cpus: Int, memory: Int, image: String, operation: String?,
        waitingFor: WaitingFor?, expungeAt: String? = nil, conflicts: [DomainSighting],
        needsAttention: [ParkedJob] = [], labels: [String: String] = [:],
        placement: PlacementRulesResource = PlacementRulesResource(), revision: Int,
        createdAt: String, updatedAt: String
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.stopCause = stopCause
        self.host = host
        self.lastHost = lastHost
        self.destination = destination
        self.epoch = epoch
        self.cpus = cpus
        self.memory = memory
        self.image = image
        self.operation = operation
        self.waitingFor = waitingFor
        self.expungeAt = expungeAt
        self.conflicts = conflicts
        self.needsAttention = needsAttention
        self.labels = labels
        self.placement = placement
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// The host that has to answer (or be fenced) before a VM's state is settled.
package struct WaitingFor: Codable, Hashable, Sendable {
    package var host: String
    package var reason: String

    package init(host: String, reason: String) {
        self.host = host
        self.reason = reason
    }
}

/// Work on a VM that stopped trying: nothing but a hand makes it go on or ends it.
package struct ParkedJob: Codable, Hashable, Sendable {
    /// The id of the GC job or operation.
    package var job: String
    package var kind: String
    package var host: String
    package var error: String
    package var hint: String

    package init(job: String, kind: String, host: String, error: String, hint: String) {
        self.job = job
        self.kind = kind
        self.host = host
        self.error = error
        self.hint = hint
    }
}

/// A live domain that a host shows and no placement owns.
package struct DomainSighting: Codable, Hashable, Sendable {
    package var vm: String
    package var host: String
    package var epoch: Int64
    package var state: String
    package var seenAt: String

    package init(vm: String, host: String, epoch: Int64, state: String, seenAt: String) {
        self.vm = vm
        self.host = host
        self.epoch = epoch
        self.state = state
        self.seenAt = seenAt
    }
}

package struct CreateVMRequest: Codable, Hashable, Sendable {
    package var name: String
    package var image: String
    package var cpus: Int
    package var memory: Int
    package var labels: [String: String]?
    package var placement: PlacementRulesResource?

    package init(
        name: String, image: String, cpus: Int, memory: Int, labels: [String: String]? = nil,
        placement: PlacementRulesResource? = nil
    ) {
        self.name = name
        self.image = image
        self.cpus = cpus
        self.memory = memory
        self.labels = labels
        self.placement = placement
    }
}

package struct StartVMRequest: Codable, Hashable, Sendable {
    package var host: String?

    package init(host: String? = nil) { self.host = host }
}

package struct StopVMRequest: Codable, Hashable, Sendable {
    package var mode: String?
    package var timeout: Int?
    package var `defer`: Bool?
    package var expectedHost: String?
    package var expectedEpoch: Int64?

    package init(
        mode: String? = nil, timeout: Int? = nil, defer: Bool? = nil, expectedHost: String? = nil,
        expectedEpoch: Int64? = nil
    ) {
        self.mode = mode
        self.timeout = timeout
        self.defer = `defer`
        self.expectedHost = expectedHost
        self.expectedEpoch = expectedEpoch
    }
}

/// The body of `POST /v1/vms/{vm}/actions/resolve`: exactly one of `adopt`, `stop` and `gone`.
package struct ResolveVMRequest: Codable, Hashable, Sendable {
    package var adopt: String?
    package var stop: String?
    package var gone: Bool?
    package var proof: String?

    package init(adopt: String? = nil, stop: String? = nil, gone: Bool? = nil, proof: String? = nil) {
        self.adopt = adopt
        self.stop = stop
        self.gone = gone
        self.proof = proof
    }
}

/// The body of `POST /v1/vms/{vm}/actions/migrate`.
package struct MigrateVMRequest: Codable, Hashable, Sendable {
    package var host: String?
    package var live: Bool?
    package var copyStorage: Bool?
    package var autoConverge: Bool?
    package var postCopy: Bool?
    package var timeout: Int?
    package var stopTimeout: Int?

    package init(
        host: String? = nil, live: Bool? = nil, copyStorage: Bool? = nil, autoConverge: Bool? = nil,
        postCopy: Bool? = nil, timeout: Int? = nil, stopTimeout: Int? = nil
    ) {
        self.host = host
        self.live = live
        self.copyStorage = copyStorage
        self.autoConverge = autoConverge
        self.postCopy = postCopy
        self.timeout = timeout
        self.stopTimeout = stopTimeout
    }
}

/// The body of `POST /v1/vms/{vm}/actions/recover`.
package struct RecoverVMRequest: Codable, Hashable, Sendable {
    /// What the VM is called from now on; nil: as it was.
    package var name: String?

    package init(name: String? = nil) { self.name = name }
}

/// The body of `POST /v1/vms/{vm}/actions/reboot`.
package struct RebootVMRequest: Codable, Hashable, Sendable {
    package var timeout: Int?

    package init(timeout: Int? = nil) { self.timeout = timeout }
}
