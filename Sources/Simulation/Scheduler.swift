import Synchronization

/// One thread, virtual time, and a seed: runs everything that is simulated, one step after the other.
///
/// A step is a job of a process that is ready, chosen at random among all that are, or the next timer once nothing is ready.
/// Time passes only then. The same seed gives the same steps in every process that hashes deterministically.
package final class Scheduler: Sendable {
    fileprivate struct Timer {
        let due: Duration
        let number: UInt64
        let process: Process?
        let fire: @Sendable () -> Void
    }

    fileprivate struct State {
        var ready: [(process: Process, job: UnownedJob)] = []
        /// A binary heap by time, then by number.
        var timers: [Timer] = []
        var now: Duration = .zero
        var random: SeededRandom
        var timerCount: UInt64 = 0
        var steps = 0
    }

    private let state: Mutex<State>

    package init(seed: UInt64) { state = Mutex(State(random: SeededRandom(state: seed))) }

    package var now: Duration { state.withLock { $0.now } }
    package var steps: Int { state.withLock { $0.steps } }

    // MARK: Randomness

    package func below(_ bound: Int) -> Int { state.withLock { Int.random(in: 0..<bound, using: &$0.random) } }

    package func unit() -> Double { state.withLock { Double.random(in: 0..<1, using: &$0.random) } }

    /// True once in `count` times.
    package func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    package func milliseconds(_ range: ClosedRange<Int>) -> Duration {
        .milliseconds(range.lowerBound + below(range.count))
    }

    /// A number that names something; never the same twice in practice.
    func word() -> UInt64 { state.withLock { $0.random.next() } }

    // MARK: Work

    /// Calls `fire` after `delay`, unless `process` is dead by then.
    package func after(_ delay: Duration, for process: Process? = nil, _ fire: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.timerCount += 1
            state.timers.append(
                Timer(due: state.now + max(delay, .zero), number: state.timerCount, process: process, fire: fire))
            state.siftUp()
        }
    }

    fileprivate func add(_ job: UnownedJob, of process: Process) {
        state.withLock { $0.ready.append((process, job)) }
    }

    /// Does one thing; false if there is nothing left to do.
    package func step() -> Bool {
        let next = state.withLock { state -> (@Sendable () -> Void)? in
            while !state.ready.isEmpty {
                let place = Int.random(in: 0..<state.ready.count, using: &state.random)
                let (process, job) = state.ready.remove(at: place)
                // What belongs to a dead process never runs again; it waits where it is for good.
                if process.isDead { continue }
                state.steps += 1
                return { process.run(job) }
            }
            while let timer = state.takeTimer() {
                if timer.process?.isDead == true { continue }
                state.now = max(state.now, timer.due)
                state.steps += 1
                return timer.fire
            }
            return nil
        }
        next?()
        return next != nil
    }
}

extension Scheduler.State {
    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (timers[left].due, timers[left].number) < (timers[right].due, timers[right].number)
    }

    fileprivate mutating func siftUp() {
        var child = timers.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            timers.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    fileprivate mutating func takeTimer() -> Scheduler.Timer? {
        guard !timers.isEmpty else { return nil }
        timers.swapAt(0, timers.count - 1)
        let first = timers.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < timers.count && isBefore(child, least) {
                least = child
            }
            if least == parent { return first }
            timers.swapAt(parent, least)
            parent = least
        }
    }
}

/// What runs and dies as one: a server, an agent, a host's libvirt, the people who ask for something.
package final class Process: TaskExecutor {
    package let name: String
    private let scheduler: Scheduler
    private let life = Mutex(Life())

    private struct Life {
        var isDead = false
        /// What a dead process waited for; let go of, it would be reported as forgotten.
        var graveyard: [CheckedContinuation<Void, any Error>] = []
    }

    package init(_ name: String, on scheduler: Scheduler) {
        self.name = name
        self.scheduler = scheduler
    }

    package var isDead: Bool { life.withLock { $0.isDead } }

    /// From now on nothing of it runs, wherever it was.
    package func die() { life.withLock { $0.isDead = true } }

    func bury(_ continuation: CheckedContinuation<Void, any Error>) {
        life.withLock { $0.graveyard.append(continuation) }
    }

    /// Starts something in the process.
    package func start(_ body: @escaping @Sendable () async -> Void) {
        Task(executorPreference: self) { await body() }
    }

    package func enqueue(_ job: consuming ExecutorJob) { scheduler.add(UnownedJob(job), of: self) }

    fileprivate func run(_ job: UnownedJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }
}

/// A sequence of numbers that a seed decides (SplitMix64).
package struct SeededRandom: RandomNumberGenerator, Sendable {
    var state: UInt64

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
