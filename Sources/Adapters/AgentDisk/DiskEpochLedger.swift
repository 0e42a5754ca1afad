package import Domain
package import HostAgent
import Synchronization

/// The `EpochLedger` in a directory, one small file for each VM that was ever seen here.
package final class DiskEpochLedger: EpochLedger {
    private let records: Mutex<RecordDirectory<VMID, EpochMark>>

    /// Opens the ledger in `directory`, which is made if need be. Only one process may use it: see `DataDirectoryLock`.
    package init(directory: String) throws {
        records = Mutex(try RecordDirectory(path: directory))
    }

    package func mark(of vm: VMID) throws -> EpochMark {
        try records.withLock { try $0.record(vm) ?? .none }
    }

    package func raise(_ vm: VMID, to mark: EpochMark) throws {
        try records.withLock { records in
            let before = try records.record(vm) ?? .none
            let after = EpochMark(highest: max(before.highest, mark.highest), closed: max(before.closed, mark.closed))
            if after != before { try records.store(after, as: vm) }
        }
    }
}
