import ControlPlane
import Domain
import Foundation
import Logging
import SQLStore
import StoreConformance

/// A store on a file in a directory of its own, which `remove` takes away.
struct TemporaryStore {
    let directory: String
    let clock = ManualClock()

    var path: String { "\(directory)/roost.db" }

    init() throws {
        directory =
            FileManager.default.temporaryDirectory.appendingPathComponent("roost-store-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    func open(
        faults: any FaultPoints = NoFaultPoints(),
        onCommit: @escaping @Sendable ([NumberedEvent], Bool) -> Void = { _, _ in }
    ) throws -> SQLiteDatabase {
        try SQLiteDatabase(path: path, clock: clock, faults: faults, logger: quietLogger, onCommit: onCommit)
    }

    func openInMemory() throws -> SQLiteDatabase {
        try SQLiteDatabase(
            inMemoryWith: clock, faults: NoFaultPoints(), logger: quietLogger, onCommit: { _, _ in })
    }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }
}

/// Errors that a test provokes are not worth a line on its output.
let quietLogger = Logger(label: "store", factory: { _ in SwiftLogNoOpLogHandler() })
