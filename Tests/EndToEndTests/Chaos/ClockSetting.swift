import Synchronization

/// How far the wall clock of each server is off.
final class ClockSetting: Sendable {
    private let offsets = Mutex<[Int: String]>([:])

    subscript(server: Int) -> String? {
        get { offsets.withLock { $0[server] } }
        set { offsets.withLock { $0[server] = newValue } }
    }
}
