import Foundation
import Logging
import Synchronization

/// One connection with a thread's worth of turns: what is run on it runs one at a time, in order.
///
/// @unchecked Sendable: the session is only touched on the queue.
final class PostgresLane: @unchecked Sendable {
    private let queue: DispatchQueue
    private let session: PostgresSession

    init(url: String, label: String, isWriter: Bool = false, logger: Logger) {
        queue = DispatchQueue(label: label)
        session = PostgresSession(url: url, isWriter: isWriter, logger: logger)
    }

    func run(_ body: @escaping @Sendable (PostgresSession) -> Void) {
        queue.async { [self] in body(session) }
    }

    /// The same, and returns when it is over.
    func finish(_ body: (PostgresSession) -> Void) { queue.sync { body(session) } }
}

/// Connections that only read, each used by one reader at a time. Who finds none free waits in line.
final class PostgresReaders: Sendable {
    typealias Turn = @Sendable (PostgresSession) -> Void

    private struct State {
        var idle: [PostgresLane]
        var waiting: [Turn] = []
        var isClosed = false
    }

    private let lanes: [PostgresLane]
    private let state: Mutex<State>

    init(url: String, count: Int = 4, logger: Logger) {
        let lanes = (1...count).map { PostgresLane(url: url, label: "roost.store.reader\($0)", logger: logger) }
        self.lanes = lanes
        state = Mutex(State(idle: lanes))
    }

    /// False, and `turn` never runs, when the store is closed.
    func run(_ turn: @escaping Turn) -> Bool {
        let (isAdmitted, lane): (Bool, PostgresLane?) = state.withLock { state in
            if state.isClosed { return (false, nil) }
            if let lane = state.idle.popLast() { return (true, lane) }
            state.waiting.append(turn)
            return (true, nil)
        }
        if let lane { work(turn, on: lane) }
        return isAdmitted
    }

    /// Returns when those who waited have had their turn.
    func close() {
        state.withLock { $0.isClosed = true }
        for lane in lanes {
            lane.finish { session in
                while let turn = next() { turn(session) }
                session.close()
            }
        }
    }

    private func work(_ turn: @escaping Turn, on lane: PostgresLane) {
        lane.run { [self] session in
            turn(session)
            while let turn = next(orRest: lane) { turn(session) }
        }
    }

    private func next() -> Turn? { state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() } }

    private func next(orRest lane: PostgresLane) -> Turn? {
        state.withLock { state in
            if !state.waiting.isEmpty { return state.waiting.removeFirst() }
            state.idle.append(lane)
            return nil
        }
    }
}
