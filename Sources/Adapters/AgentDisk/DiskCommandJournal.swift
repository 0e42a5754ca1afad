package import Domain
package import HostAgent
import Synchronization

/// The `CommandJournal` in a directory, one small file for each command.
///
/// An end that the server never acknowledged is kept for a week, a refusal for a month; a begun command until it ends.
package final class DiskCommandJournal: CommandJournal {
    private let records: Mutex<RecordDirectory<CommandID, JournalEntry>>

    private static let day = 24 * 60 * 60

    /// Opens the journal in `directory`, which is made if need be. Only one process may use it: see `DataDirectoryLock`.
    package init(directory: String) throws {
        let records = try RecordDirectory<CommandID, JournalEntry>(path: directory)
        for id in try records.ids() {
            let age = records.secondsSinceChange(id) ?? 0
            switch try records.record(id) {
            case .ended where age > 7 * Self.day, .refused where age > 30 * Self.day: try records.remove(id)
            case .begun, .ended, .refused, nil: break
            }
        }
        self.records = Mutex(records)
    }

    package func entry(_ id: CommandID) throws -> JournalEntry? {
        try records.withLock { try $0.record(id) }
    }

    package func begin(_ id: CommandID, _ command: BegunCommand) throws {
        try records.withLock { try $0.store(.begun(command), as: id) }
    }

    package func end(_ id: CommandID, _ outcome: CommandOutcome) throws {
        try records.withLock { try $0.store(.ended(outcome), as: id) }
    }

    package func refuse(_ id: CommandID) throws {
        try records.withLock { try $0.store(.refused, as: id) }
    }

    package func unfinished() throws -> [(CommandID, BegunCommand)] {
        try records.withLock { records in
            try records.ids().compactMap { id in
                switch try records.record(id) {
                case .begun(let command): (id, command)
                case .ended, .refused, nil: nil
                }
            }
        }
    }

    /// A refusal stays: a late copy of its command could still arrive. So does a command that has not ended.
    package func forget(_ id: CommandID) throws {
        try records.withLock { records in
            switch try records.record(id) {
            case .ended: try records.remove(id)
            case .begun, .refused, nil: break
            }
        }
    }
}
