import ControlPlane
import Domain
import Synchronization

/// A control plane that writes down what it is told.
final class FakeObserver: HostSessionObserver {
    enum Told: Equatable {
        case opened(HostID, Int64)
        case established(HostID, Int64, sequence: Int64)
        case inventory(HostID, Int64, sequence: Int64)
        case change(HostID, Int64, sequence: Int64)
        case progress(HostID, Int64, VMID, Epoch, MigrationProgress)
        case lostSight(HostID, Int64)
        case closed(HostID, Int64, reason: String)
    }

    private struct Shared {
        var told: [Told] = []
        var sessions: Int64 = 0
        var deleted: Set<HostID> = []
        var tokens: [String: (host: HostID, usedBy: String?)] = [:]
        var openFault: Fault?
        var reportFault: Fault?
        var reportDelay = Duration.zero
    }

    private let state = Mutex(Shared())

    var told: [Told] { state.withLock { $0.told } }
    var openCount: Int { told.filter { if case .opened = $0 { true } else { false } }.count }

    func delete(_ host: HostID) { state.withLock { _ = $0.deleted.insert(host) } }
    func add(tokenHash: String, for host: HostID) { state.withLock { $0.tokens[tokenHash] = (host, nil) } }
    func refuseOpening(with fault: Fault?) { state.withLock { $0.openFault = fault } }
    func refuseReports(with fault: Fault?) { state.withLock { $0.reportFault = fault } }
    func delayReports(by delay: Duration) { state.withLock { $0.reportDelay = delay } }

    func open(_ hello: AgentHello) async throws -> SessionGrant {
        let session = try state.withLock { shared in
            if let fault = shared.openFault { throw fault }
            shared.sessions += 1
            shared.told.append(.opened(hello.host, shared.sessions))
            return shared.sessions
        }
        return SessionGrant(host: hello.host, session: session)
    }

    func established(_ grant: SessionGrant, hello: AgentHello, inventory: Inventory) async throws {
        note(.established(grant.host, grant.session, sequence: inventory.sequence))
    }

    func received(_ inventory: Inventory, from host: HostID, session: Int64) async throws {
        try await takeReport()
        note(.inventory(host, session, sequence: inventory.sequence))
    }

    func received(
        _ progress: MigrationProgress, of vm: VMID, _ epoch: Epoch, from host: HostID, session: Int64
    ) async throws {
        try await takeReport()
        note(.progress(host, session, vm, epoch, progress))
    }

    func received(_ change: DomainChange, from host: HostID, session: Int64) async throws {
        try await takeReport()
        note(.change(host, session, sequence: change.sequence))
    }

    func lostSight(of host: HostID, session: Int64) async throws {
        try await takeReport()
        note(.lostSight(host, session))
    }

    func closed(_ host: HostID, session: Int64, reason: String) async throws {
        note(.closed(host, session, reason: reason))
    }

    func redeemJoinToken(secretHash: String, publicKey: String) async throws -> HostID {
        try state.withLock { shared in
            guard let token = shared.tokens[secretHash], token.usedBy == nil || token.usedBy == publicKey else {
                throw Fault(
                    .unauthenticated, .joinTokenInvalid, "The join token was used, has expired or is unknown.",
                    hint: "Make a new one with `roost host add`.")
            }
            shared.tokens[secretHash] = (token.host, publicKey)
            return token.host
        }
    }

    func isAdmitted(_ host: HostID) async throws -> Bool { state.withLock { !$0.deleted.contains(host) } }

    private func note(_ told: Told) { state.withLock { $0.told.append(told) } }

    /// A slow control plane, where the test asks for one.
    private func takeReport() async throws {
        let (fault, delay) = state.withLock { ($0.reportFault, $0.reportDelay) }
        if delay > .zero { try await Task.sleep(for: delay) }
        if let fault { throw fault }
    }
}
