import ControlPlane
import Domain
import Logging
import PostgresBench
import SQLStore
import StoreConformance
import Synchronization

/// A database of a test's own.
struct TemporaryDatabase {
    let server: PostgresServer
    let url: String
    let clock = ManualClock()

    init(on server: PostgresServer? = nil) throws {
        self.server = try server ?? PostgresServer.shared.get()
        url = try self.server.makeDatabase()
    }

    func open(
        patience: Duration = .seconds(20), faults: any FaultPoints = NoFaultPoints(),
        onCommit: @escaping @Sendable ([NumberedEvent], Bool) -> Void = { _, _ in },
        onNotice: @escaping @Sendable (Bool) -> Void = { _ in }
    ) throws -> PostgresDatabase {
        try PostgresDatabase(
            url: url, clock: clock, patience: patience, faults: faults, logger: quietLogger, onCommit: onCommit,
            onNotice: onNotice)
    }

    func remove() throws {
        try server.drop(url)
    }
}

/// Errors that a test provokes are not worth a line on its output.
let quietLogger = Logger(label: "store", factory: { _ in SwiftLogNoOpLogHandler() })

/// A value that the tasks of a test share.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) { mutex = Mutex(value) }

    var value: Value { mutex.withLock { $0 } }

    func change(_ body: (inout Value) -> Void) {
        mutex.withLock { value in
            var next = value
            body(&next)
            value = next
        }
    }
}
