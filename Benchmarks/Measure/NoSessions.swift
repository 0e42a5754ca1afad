import ControlPlane
import Domain

/// No agent is connected.
struct NoSessions: HostSessions {
    private static let nobody = Fault(.unavailable, .hostUnreachable, "No agent is connected.")

    func send(_ command: HostCommand, id: CommandID, to host: HostID, limit: Duration) async -> CommandEnd {
        .notSent(Self.nobody)
    }
    func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement { .unknown(Self.nobody) }
    func acknowledge(_ id: CommandID, on host: HostID) async {}
    func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory { throw Self.nobody }
    func holdings(of host: HostID, limit: Duration) async throws(Fault) -> HostHoldings { throw Self.nobody }
    func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8] { throw Self.nobody }
    func disconnect(_ host: HostID, reason: String) async {}
    func disconnectAll(reason: String) async {}
}
