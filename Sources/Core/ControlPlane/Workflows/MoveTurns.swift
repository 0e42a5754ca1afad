import Domain
import Synchronization

/// How many guests drains move from each host at once, on this node. Their places at the destinations are held all the
/// while, so this only decides who goes first.
final class MoveTurns: Sendable {
    private let limit: Int
    private let taken = Mutex<[HostID: Int]>([:])

    init(limit: Int) { self.limit = limit }

    /// False: as many as may move at once are moving from `host`.
    func take(_ host: HostID) -> Bool {
        taken.withLock { taken in
            guard taken[host, default: 0] < limit else { return false }
            taken[host, default: 0] += 1
            return true
        }
    }

    func giveBack(_ host: HostID) {
        taken.withLock { taken in
            let left = taken[host, default: 1] - 1
            taken[host] = left > 0 ? left : nil
        }
    }
}
