import Synchronization

/// Where a server listens, for those who want to know before it does.
final class BoundPort: Sendable {
    private enum State {
        case unknown([CheckedContinuation<Int, any Error>])
        case known(Result<Int, any Error>)
    }

    private let state = Mutex(State.unknown([]))

    func port() async throws -> Int {
        try await withCheckedThrowingContinuation { continuation in
            let result: Result<Int, any Error>? = state.withLock { state in
                switch state {
                case .unknown(let waiting):
                    state = .unknown(waiting + [continuation])
                    return nil
                case .known(let result): return result
                }
            }
            if let result { continuation.resume(with: result) }
        }
    }

    func resolve(_ port: Int) { end(with: .success(port)) }

    /// Does nothing once the port is known.
    func fail(with error: any Error) { end(with: .failure(error)) }

    private func end(with result: Result<Int, any Error>) {
        let waiting: [CheckedContinuation<Int, any Error>] = state.withLock { state in
            guard case .unknown(let waiting) = state else { return [] }
            state = .known(result)
            return waiting
        }
        for continuation in waiting { continuation.resume(with: result) }
    }
}
