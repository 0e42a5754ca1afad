import Synchronization

/// What happened, in order, and a number that two runs share only if all of it was the same.
package final class Trace: Sendable {
    private struct State {
        var lines: [String] = []
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    }

    private let scheduler: Scheduler
    private let limit: Int
    private let state = Mutex(State())

    init(_ scheduler: Scheduler, keeping limit: Int = 400) {
        self.scheduler = scheduler
        self.limit = limit
    }

    func note(_ line: String) {
        let stamped = "\(Double(scheduler.now.milliseconds) / 1000) \(line)"
        state.withLock { state in
            for byte in stamped.utf8 { state.digest = (state.digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
            state.lines.append(stamped)
            if state.lines.count > 2 * limit { state.lines.removeFirst(limit) }
        }
    }

    package var digest: UInt64 { state.withLock { $0.digest } }
    package func last(_ count: Int) -> [String] { state.withLock { $0.lines.suffix(count) } }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
