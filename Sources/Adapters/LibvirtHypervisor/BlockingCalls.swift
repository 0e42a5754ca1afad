import HostAgent
import Synchronization

/// Runs calls that may block on threads of its own, each with a time limit.
///
/// A call that hangs costs a thread until it returns, and its caller only its time limit. A call that no thread took up
/// before its time was up is never run.
final class BlockingCalls: Sendable {
    private struct State: Sendable {
        var waiting: [@Sendable () -> Void] = []
        var threads = 0
        var idle = 0
        /// How the calls that wait for libvirt's answer are ended early.
        var pending: [Int: @Sendable (HypervisorError) -> Void] = [:]
        var lastNumber = 0
    }

    private let state = Monitor(State())
    private let threadsMax: Int
    private let idleLimit: Duration = .seconds(30)

    init(threadsMax: Int = 32) { self.threadsMax = threadsMax }

    /// What `body` returned or threw; `unreachable` when `limit` passes before it ends, which says nothing about its effect.
    func run<Value: Sendable>(
        _ what: String, within limit: Duration, _ body: @escaping @Sendable () throws(HypervisorError) -> Value
    ) async throws(HypervisorError) -> Value {
        let call = Call<Value>()
        let timer = Task {
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            call.settle(.failure(.unreachable("libvirt did not answer within \(limit) (\(what))")))
        }
        let number = state.change { state in
            state.lastNumber += 1
            state.pending[state.lastNumber] = { call.settle(.failure($0)) }
            return state.lastNumber
        }
        defer {
            timer.cancel()
            state.change { _ = $0.pending.removeValue(forKey: number) }
        }
        let result = await withCheckedContinuation { continuation in
            call.wait(with: continuation)
            enqueue {
                guard !call.isSettled else { return }
                do throws(HypervisorError) {
                    call.settle(.success(try body()))
                } catch {
                    call.settle(.failure(error))
                }
            }
        }
        return try result.get()
    }

    /// The answers that calls wait for will not come: their callers are told so, though the calls may hang on.
    func abandon(_ reason: String) {
        for end in state.change({ $0.pending.values.map { $0 } }) { end(.unreachable(reason)) }
    }

    private func enqueue(_ work: @escaping @Sendable () -> Void) {
        let needsThread = state.change { state in
            state.waiting.append(work)
            guard state.waiting.count > state.idle, state.threads < threadsMax else { return false }
            state.threads += 1
            return true
        }
        guard needsThread else { return }
        let started = OwnThread.start(named: "libvirt-call") { [self] in serve() }
        if !started { state.change { $0.threads -= 1 } }
    }

    private func serve() {
        while let work = next() { work() }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.change { $0.idle += 1 }
        let work = state.wait(atMost: idleLimit) { state -> (@Sendable () -> Void)? in
            guard !state.waiting.isEmpty else { return nil }
            state.idle -= 1
            return state.waiting.removeFirst()
        }
        if let work { return work }
        // Work may have come between the end of the wait and here, counting on this thread.
        return state.change { state in
            state.idle -= 1
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.threads -= 1
            return nil
        }
    }
}

/// One call's end: whichever comes first of its result and its time limit.
private final class Call<Value: Sendable>: Sendable {
    private enum State: Sendable {
        case begun
        case awaited(CheckedContinuation<Result<Value, HypervisorError>, Never>)
        case settled(Result<Value, HypervisorError>)
    }

    private let state = Mutex(State.begun)

    var isSettled: Bool {
        state.withLock { state in
            switch state {
            case .settled: true
            case .begun, .awaited: false
            }
        }
    }

    func wait(with continuation: CheckedContinuation<Result<Value, HypervisorError>, Never>) {
        let settled: Result<Value, HypervisorError>? = state.withLock { state in
            switch state {
            case .settled(let result): return result
            case .begun, .awaited:
                state = .awaited(continuation)
                return nil
            }
        }
        if let settled { continuation.resume(returning: settled) }
    }

    func settle(_ result: Result<Value, HypervisorError>) {
        let waiter: CheckedContinuation<Result<Value, HypervisorError>, Never>? = state.withLock { state in
            switch state {
            case .settled: return nil
            case .begun:
                state = .settled(result)
                return nil
            case .awaited(let continuation):
                state = .settled(result)
                return continuation
            }
        }
        waiter?.resume(returning: result)
    }
}
