package import Domain

/// What the server asks of the agent over its session. Implemented by `Agent`, called by the link.
package protocol AgentInbox: Sendable {
    /// Everything a hello says but for the identity, which the certificate carries. Collects a whole inventory.
    func hello() async -> HelloContent
    /// Runs `command` once; a repeat under the same id gives the remembered end, or waits for the run that is under way.
    ///
    /// Throws when the task is cancelled while the command's end is not known: then there is nothing to tell. The agent's
    /// next process finds the command in its journal, and goes on when it comes again or is settled.
    func execute(_ command: HostCommand, id: CommandID) async throws(CancellationError) -> CommandOutcome
    /// What became of command `id`. A command that was never received is refused from now on.
    func settle(_ id: CommandID) async -> AgentSettlement
    func collectInventory() async -> Inventory
    /// Everything of Roost's that lies on this host.
    func collectHoldings() async throws(Fault) -> HostHoldings
    func consoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8]
    /// The server's records have come as far as `point`: kept, to know an older copy of them by.
    func hear(_ point: RecordPoint) async
    /// The server has durably taken note of the command's end.
    func acknowledge(_ id: CommandID) async
    /// What the agent tells by itself, in the order it happened. One consumer; a new call ends the earlier stream.
    func reports() -> AsyncStream<AgentReport>
}

package struct HelloContent: Sendable {
    package let instance: String
    package let facts: HostFacts
    package let inventory: Inventory
    /// How far the server's records had come, as this host last heard.
    package let heard: RecordPoint
    /// The highest epoch that this host has seen, of whatever VM.
    package let highestEpoch: Epoch

    package init(
        instance: String, facts: HostFacts, inventory: Inventory, heard: RecordPoint = .none,
        highestEpoch: Epoch = .none
    ) {
        self.instance = instance
        self.facts = facts
        self.inventory = inventory
        self.heard = heard
        self.highestEpoch = highestEpoch
    }
}

package enum AgentSettlement: Hashable, Sendable {
    case ended(CommandOutcome)
    case neverReceived
    case underWay
}

package enum AgentReport: Hashable, Sendable {
    case domainChanged(VMID, Epoch, DomainState, sequence: Int64)
    case inventory(Inventory)
    case lostSight
    /// How far the move of the epoch's domain has come.
    case migrationProgress(VMID, Epoch, MigrationProgress)
    /// The session's hello could not say what the host is, and now it can be said: the session is to begin anew.
    case helloDue
}
