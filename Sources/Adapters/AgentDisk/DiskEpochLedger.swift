package import Domain
package import HostAgent
import Synchronization

/// The `EpochLedger` in a directory: one small file for each VM that was ever seen here, and one for the server's records.
package final class DiskEpochLedger: EpochLedger {
    private struct State: Sendable {
        let records: RecordDirectory<VMID, EpochMark>
        /// Known once it was asked for.
        var highest: Epoch?
        var heard: RecordPoint?
    }

    private static let pointFile = "heard"

    private let state: Mutex<State>
    private let directory: String

    /// Opens the ledger in `directory`, which is made if need be. Only one process may use it: see `DataDirectoryLock`.
    package init(directory: String) throws {
        self.directory = directory
        state = Mutex(State(records: try RecordDirectory(path: directory)))
    }

    package func mark(of vm: VMID) throws -> EpochMark {
        try state.withLock { try $0.records.record(vm) ?? .none }
    }

    package func raise(_ vm: VMID, to mark: EpochMark) throws {
        try state.withLock { state in
            let before = try state.records.record(vm) ?? .none
            let after = EpochMark(highest: max(before.highest, mark.highest), closed: max(before.closed, mark.closed))
            if after != before { try state.records.store(after, as: vm) }
            state.highest = state.highest.map { max($0, after.highest, after.closed) }
        }
    }

    package func highest() throws -> Epoch {
        try state.withLock { state in
            if let known = state.highest { return known }
            var highest = Epoch.none
            for vm in try state.records.ids() {
                let mark = try state.records.record(vm) ?? .none
                highest = max(highest, mark.highest, mark.closed)
            }
            state.highest = highest
            return highest
        }
    }

    package func heard() throws -> RecordPoint { try state.withLock { try Self.heard(&$0, in: directory) } }

    package func raise(to point: RecordPoint) throws {
        try state.withLock { state in
            guard try point > Self.heard(&state, in: directory) else { return }
            try Self.store(point, in: directory)
            state.heard = point
        }
    }

    private static func store(_ point: RecordPoint, in directory: String) throws(Fault) {
        do { try DurableFile.write(Array("\(point.rawValue)\n".utf8), to: pointFile, in: directory) } catch {
            throw error.fault
        }
    }

    private static func heard(_ state: inout State, in directory: String) throws -> RecordPoint {
        if let known = state.heard { return known }
        let file = "\(directory)/\(pointFile)"
        let bytes: [UInt8]?
        do { bytes = try DurableFile.read(file) } catch { throw error.fault }
        guard let bytes else { return .none }
        guard let number = Int64(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }) else {
            throw Fault(
                .unavailable, .internalError, "The agent's file \(file) is damaged.",
                hint: "Restore or remove it; it says how far the server's records had come.")
        }
        let point = RecordPoint(rawValue: number)
        state.heard = point
        return point
    }
}
