import Domain
import Synchronization

/// Hands chunks from one task to another, one at a time: the giver waits until its chunk is taken.
final class ChunkPipe: Sendable {
    private let state = Mutex(Shared())

    private struct Shared {
        var chunk: [UInt8]?
        var giver: CheckedContinuation<Void, Never>?
        var taker: CheckedContinuation<Void, Never>?
        /// Set once: the end, with the fault if it is not the good one.
        var end: Fault??
    }

    /// Returns when the chunk was taken; throws when nobody will take it.
    func put(_ chunk: [UInt8]) async throws {
        let taker = state.withLock { shared in
            shared.chunk = chunk
            defer { shared.taker = nil }
            return shared.taker
        }
        taker?.resume()
        await withTaskCancellationHandler {
            await withCheckedContinuation { giver in
                let done = state.withLock { shared -> Bool in
                    guard shared.chunk != nil, shared.end == nil else { return true }
                    shared.giver = giver
                    return false
                }
                if done { giver.resume() }
            }
        } onCancel: {
            finish(.transferStopped)
        }
        if state.withLock({ $0.end != nil }) { throw CancellationError() }
    }

    /// The next chunk, or nil after the last one.
    func take() async throws -> [UInt8]? {
        while true {
            let (chunk, giver, end) = state.withLock { shared in
                defer {
                    shared.chunk = nil
                    shared.giver = nil
                }
                return (shared.chunk, shared.giver, shared.end)
            }
            giver?.resume()
            if let chunk { return chunk }
            if let end {
                if let fault = end { throw fault }
                return nil
            }
            await waitForChunk()
        }
    }

    private func waitForChunk() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { taker in
                let ready = state.withLock { shared -> Bool in
                    guard shared.chunk == nil, shared.end == nil else { return true }
                    shared.taker = taker
                    return false
                }
                if ready { taker.resume() }
            }
        } onCancel: {
            finish(.transferStopped)
        }
    }

    /// Ends the pipe after the chunk in it; a later end is ignored.
    func finish(_ fault: Fault?) {
        let (giver, taker) = state.withLock { shared in
            if shared.end == nil { shared.end = .some(fault) }
            defer {
                shared.giver = nil
                shared.taker = nil
            }
            return (shared.giver, shared.taker)
        }
        giver?.resume()
        taker?.resume()
    }
}

extension Fault {
    fileprivate static let transferStopped = Fault(
        .unavailable, .imageNotReady, "The transfer of the image was stopped.", hint: "Try again.")
}
