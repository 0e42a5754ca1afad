package import Domain
package import HostAgent
import Synchronization

/// The `CommandJournal` in a directory, one small file for each command.
///
/// An end that the server never acknowledged is kept for a week, a refusal for a month; a begun command until it ends.
package final class DiskCommandJournal: CommandJournal {
    private struct State {
        let records: RecordDirectory<CommandID, JournalEntry>
        var sweptAt = ContinuousClock.now
    }

    private let state: Mutex<State>

    private static let day = 24 * 60 * 60

    /// Opens the journal in `directory`, which is made if need be. Only one process may use it: see `DataDirectoryLock`.
    package init(directory: String) throws {
        let records = try RecordDirectory<CommandID, JournalEntry>(path: directory)
        try Self.sweep(records)
        state = Mutex(State(records: records))
    }

    private static func sweep(_ records: RecordDirectory<CommandID, JournalEntry>) throws {
        for id in try records.ids() {
            let age = records.secondsSinceChange(id) ?? 0
            switch try records.record(id) {
            case .ended where age > 7 * day, .refused where age > 30 * day: try records.remove(id)
            case .begun, .ended, .refused, nil: break
            }
        }
    }

    package func entry(_ id: CommandID) throws -> JournalEntry? {
        try state.withLock { try $0.records.record(id) }
    }

    package func begin(_ id: CommandID, _ command: BegunCommand) throws {
        try state.withLock { state in
            if state.sweptAt.duration(to: .now) > .seconds(Self.day) {
                state.sweptAt = .now
                try Self.sweep(state.records)
            }
            try state.records.store(.begun(command), as: id)
        }
    }

    package func end(_ id: CommandID, _ outcome: CommandOutcome) throws {
        try state.withLock { try $0.records.store(.ended(outcome), as: id) }
    }

    package func refuse(_ id: CommandID) throws {
        try state.withLock { try $0.records.store(.refused, as: id) }
    }

    /// A refusal stays: a late copy of its command could still arrive. So does a command that has not ended.
    package func forget(_ id: CommandID) throws {
        try state.withLock { state in
            switch try state.records.record(id) {
            case .ended: try state.records.remove(id)
            case .begun, .refused, nil: break
            }
        }
    }
}
