import Domain
import Synchronization

/// One turn at a time for each host, first come, first served.
final class HostTurns: Sendable {
    /// Who waits behind the holder, by host; no entry: the turn is free.
    private let queues = Mutex<[HostID: [CheckedContinuation<Void, Never>]]>([:])

    func take<Value: Sendable>(_ host: HostID, _ body: () async -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            let free = queues.withLock { queues -> Bool in
                guard queues[host] != nil else {
                    queues[host] = []
                    return true
                }
                queues[host]?.append(continuation)
                return false
            }
            if free { continuation.resume() }
        }
        let value = await body()
        let next = queues.withLock { queues -> CheckedContinuation<Void, Never>? in
            guard var queue = queues[host], !queue.isEmpty else {
                queues[host] = nil
                return nil
            }
            let next = queue.removeFirst()
            queues[host] = queue
            return next
        }
        next?.resume()
        return value
    }
}
