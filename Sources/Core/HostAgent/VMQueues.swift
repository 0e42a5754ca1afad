import Domain
import Synchronization

/// Lets one command at a time at each VM, in the order of arrival.
final class VMQueues: Sendable {
    private let waiting = Mutex<[VMID: [CheckedContinuation<Void, Never>]]>([:])

    /// Runs `body` when nothing else runs for `vm`.
    func run<Result: Sendable, Failure: Error>(
        _ vm: VMID, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await enter(vm)
        defer { leave(vm) }
        return try await body()
    }

    private func enter(_ vm: VMID) async {
        await withCheckedContinuation { continuation in
            let isFree = waiting.withLock { waiting in
                guard waiting[vm] != nil else {
                    waiting[vm] = []
                    return true
                }
                waiting[vm]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func leave(_ vm: VMID) {
        let next: CheckedContinuation<Void, Never>? = waiting.withLock { waiting in
            guard var queue = waiting[vm], !queue.isEmpty else {
                waiting[vm] = nil
                return nil
            }
            let next = queue.removeFirst()
            waiting[vm] = queue
            return next
        }
        next?.resume()
    }
}
