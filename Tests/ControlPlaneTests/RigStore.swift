import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import PostgresBench
import SQLStore

/// The store of a rig: SQLite in memory or, with `ROOST_TEST_STORE=postgres`, a database of its own on a real PostgreSQL.
final class RigStore: Database {
    private let inner: any Store
    /// Of the PostgreSQL database that goes with this object.
    private let url: String?

    init(_ feed: CommitFeed) throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        guard ProcessInfo.processInfo.environment["ROOST_TEST_STORE"] == "postgres" else {
            url = nil
            inner = try SQLiteDatabase(
                inMemoryWith: SystemTime(), faults: NoFaultPoints(), logger: logger,
                onCommit: { _, jobs in feed.committed(jobsTouched: jobs) })
            return
        }
        let url = try PostgresServer.shared.get().makeDatabase()
        self.url = url
        inner = try PostgresDatabase(
            url: url, faults: NoFaultPoints(), logger: logger,
            onCommit: { _, jobs in feed.committed(jobsTouched: jobs) },
            onNotice: { jobs in feed.committed(jobsTouched: jobs) })
    }

    deinit {
        guard let url else { return }
        // Closing blocks, and whoever lets go of the rig may be on a thread that tasks share.
        DispatchQueue.global().async { [inner] in
            inner.close()
            try? PostgresServer.shared.get().drop(url)
        }
    }

    func write<Result: Sendable>(
        _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result { try await inner.write(label, body) }

    func read<Result: Sendable>(
        _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result { try await inner.read(body) }
}
