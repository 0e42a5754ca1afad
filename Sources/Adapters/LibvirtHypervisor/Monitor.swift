import Glibc

/// A value that threads share, and whose changes they can wait for.
///
/// Waiting blocks the thread: never do it on the cooperative pool.
final class Monitor<Value: Sendable>: @unchecked Sendable {
    // Proof: `value` is touched only between lock and unlock of `mutex`; both pointers never change.
    private var value: Value
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init(_ value: Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Changes the value, and wakes all who wait for it.
    func change<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return body(&value)
    }

    /// Blocks until `body` answers, and returns its answer; nil when `limit` passes before.
    ///
    /// `body` is asked at once and after each change, and may change the value itself.
    func wait<Result>(atMost limit: Duration? = nil, for body: (inout Value) -> Result?) -> Result? {
        let deadline = limit.map { MonotonicClock.now() + $0 }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&value) { return result }
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            guard MonotonicClock.now() < deadline else { return nil }
            var until = MonotonicClock.timespec(deadline)
            pthread_cond_timedwait(condition, mutex, &until)
        }
    }
}

/// The clock that condition variables are waited on with, as time since some fixed moment.
enum MonotonicClock {
    static func now() -> Duration {
        var now = Glibc.timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return .seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
    }

    static func timespec(_ moment: Duration) -> Glibc.timespec {
        let (seconds, attoseconds) = moment.components
        return Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    }
}
