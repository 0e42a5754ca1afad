package import Domain

/// The live sessions of agents, whichever node holds them.
package protocol HostSessions: Sendable {
    /// Sends `command` under `id` and waits for its end, at most `limit`.
    ///
    /// Sending again under the same id never runs it twice: the agent answers with the end that it remembers.
    func send(_ command: HostCommand, id: CommandID, to host: HostID, limit: Duration) async -> CommandEnd

    /// Asks the agent what became of command `id`.
    func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement

    /// Tells the agent that the end of `id` is durably noted, so that it may forget it.
    func acknowledge(_ id: CommandID, on host: HostID) async

    /// Asks for a fresh inventory.
    func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory

    /// Asks for everything of Roost's that lies on the host.
    func holdings(of host: HostID, limit: Duration) async throws(Fault) -> HostHoldings

    /// The last `limit` bytes of the VM's serial console log on `host`.
    func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8]

    /// Ends the host's session, if there is one. Its agent dials in again if it may.
    func disconnect(_ host: HostID, reason: String) async

    /// Ends all sessions that this node holds. The agents dial again, this node or another.
    func disconnectAll(reason: String) async

    /// Ends those sessions of this node that the records do not know as their hosts' present ones: the agents dial again.
    ///
    /// - Parameter current: reads the session of each host that the records have with this node.
    func endOvertaken(_ current: @Sendable () async throws -> [HostID: Int64]) async throws

    /// Agents are told from now on that the records have come as far as `point`, at least.
    func note(_ point: RecordPoint) async
}

extension HostSessions {
    /// For sessions whose agents keep nothing in mind.
    package func note(_ point: RecordPoint) async {}

    /// For a server that has its agents to itself.
    package func endOvertaken(_ current: @Sendable () async throws -> [HostID: Int64]) async throws {}
}

/// What an agent knows of a command.
package enum Settlement: Hashable, Sendable {
    case ended(CommandOutcome)
    /// The agent never took it up, and promises never to: a copy that is still on its way will be refused.
    case neverReceived
    /// The agent could not be asked, or is still at it.
    case unknown(Fault)
}

/// An inventory and the session that it came by.
package struct SessionInventory: Sendable {
    package let session: Int64
    package let inventory: Inventory

    package init(session: Int64, inventory: Inventory) {
        self.session = session
        self.inventory = inventory
    }
}

/// What agents' sessions tell the control plane. Implemented by `HostSessionService`, called by the gateway in the
/// order in which things happened on a session.
package protocol HostSessionObserver: Sendable {
    /// A hello from the agent that holds `host`'s certificate: grants the next session number, or refuses with a fault.
    func open(_ hello: AgentHello) async throws -> SessionGrant
    /// The session can carry commands now. Applies the inventory and wakes the host's jobs.
    ///
    /// - Parameter inventory: collected after the grant. A hello can lie with a server that is frozen or cannot reach its
    ///   database until long after its agent has found another one and starts guests there; it says nothing of VMs.
    func established(_ grant: SessionGrant, hello: AgentHello, inventory: Inventory) async throws
    func received(_ inventory: Inventory, from host: HostID, session: Int64) async throws
    func received(_ change: DomainChange, from host: HostID, session: Int64) async throws
    /// How far the move of the domain of `vm` with `epoch` has come.
    func received(
        _ progress: MigrationProgress, of vm: VMID, _ epoch: Epoch, from host: HostID, session: Int64) async throws
    /// The agent's libvirt stopped answering: its VMs cannot be seen.
    func lostSight(of host: HostID, session: Int64) async throws
    /// The session is over. Ignored when a newer one has been granted.
    func closed(_ host: HostID, session: Int64, reason: String) async throws
    /// Whether an agent with the private key of `publicKey` may have a certificate, and for which host.
    func redeemJoinToken(secretHash: String, publicKey: String) async throws -> HostID
    /// Whether this host may still have a session or a new certificate.
    func isAdmitted(_ host: HostID) async throws -> Bool
}

package struct AgentHello: Sendable {
    package let host: HostID
    /// A fresh random id of the agent's process: tells a reconnecting agent from a second one.
    package let instance: String
    package let facts: HostFacts
    /// How far the server's records had come, as the host last heard.
    package let heard: RecordPoint
    /// The highest epoch that the host has seen, of whatever VM.
    package let highestEpoch: Epoch

    package init(
        host: HostID, instance: String, facts: HostFacts,
        heard: RecordPoint = .none, highestEpoch: Epoch = .none
    ) {
        self.host = host
        self.instance = instance
        self.facts = facts
        self.heard = heard
        self.highestEpoch = highestEpoch
    }
}

package struct SessionGrant: Hashable, Sendable {
    package let host: HostID
    package let session: Int64
    /// How far the records have come.
    package let point: RecordPoint

    package init(host: HostID, session: Int64, point: RecordPoint = .none) {
        self.host = host
        self.session = session
        self.point = point
    }
}

/// One domain changed, as libvirt's lifecycle events tell it.
package struct DomainChange: Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let state: DomainState
    package let sequence: Int64

    package init(vm: VMID, epoch: Epoch, state: DomainState, sequence: Int64) {
        self.vm = vm
        self.epoch = epoch
        self.state = state
        self.sequence = sequence
    }
}
