import ControlPlane
import Domain
import HostGateway
import Logging
import Platform
import SQLStore
import Testing

@Suite struct RelayTests {
    /// Keeps what is written and says that it could not, as when the answer to a commit is lost for good.
    private struct SilentDatabase: Database {
        let inner: SQLiteDatabase

        func write<Result: Sendable>(
            _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result
        ) async throws -> Result {
            let result = try await inner.write(label, body)
            guard label == "relay.leave" else { return result }
            throw Fault(.unavailable, .storeUnavailable, "The database cannot be reached.")
        }

        func read<Result: Sendable>(
            _ body: @escaping @Sendable (any Transaction) throws -> Result
        ) async throws -> Result {
            try await inner.read(body)
        }
    }

    @Test func `a command whose errand may have been left is not said to be unsent`() async throws {
        let host = HostID(trusted: "aaaaaaaa-0000-4000-8000-000000000001")
        let store = try SQLiteDatabase(
            inMemoryWith: SystemTime(), faults: NoFaultPoints(), logger: Logger(label: "test"), onCommit: { _, _ in })
        try await store.write("host") { tx in
            var other = Host(id: host, name: "h", createdAt: tx.now, updatedAt: tx.now)
            (other.connection, other.node) = (.connected, "other")
            try tx.insert(other)
        }
        let relay = RelayedSessions(
            registry: SessionRegistry(), database: SilentDatabase(inner: store), feed: CommitFeed(),
            node: NodeIdentity("this"), time: SystemTime(), ids: SystemIDs(), logger: Logger(label: "test"))
        let stop = StopVMCommand(
            vm: VMID(trusted: "bbbbbbbb-0000-4000-8000-000000000002"), epoch: Epoch(3), mode: .cold, timeout: .zero,
            ignoreNotFound: true)
        let end = await relay.send(
            .stop(stop), id: CommandID(trusted: "cccccccc-0000-4000-8000-000000000003"), to: host, limit: .seconds(1))
        guard case .outcomeUnknown = end else {
            Issue.record("it is \(end)")
            return
        }
        #expect(try await store.read { try $0.hasErrands(for: "other") })
    }
}
