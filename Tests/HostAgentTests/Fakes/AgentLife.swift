import Domain
import Synchronization

/// One process of the agent, which can die at any of its calls to the world: from then on nothing it does has an effect.
final class AgentLife: Sendable {
    /// Where in a call something happens.
    enum Moment: CaseIterable, Sendable { case before, after }

    enum Mishap: Sendable {
        case death(Int, Moment)
        case deathIn(String, Moment)
        /// The call fails once without effect, and the agent lives on.
        case failure(Int)
    }

    enum Step: Sendable { case works, fails, diesAfter, isDead }

    private struct State {
        var calls: [String] = []
        var isDead = false
    }

    private let mishap: Mishap?
    private let state = Mutex(State())

    init(_ mishap: Mishap? = nil) { self.mishap = mishap }

    /// The calls so far, by name.
    var calls: [String] { state.withLock { $0.calls } }
    var isDead: Bool { state.withLock { $0.isDead } }

    /// What becomes of the next call.
    func step(_ name: String) -> Step {
        state.withLock { state in
            guard !state.isDead else { return .isDead }
            let number = state.calls.count
            state.calls.append(name)
            switch mishap {
            case .death(number, let moment):
                state.isDead = true
                return moment == .before ? .isDead : .diesAfter
            case .deathIn(name, let moment):
                state.isDead = true
                return moment == .before ? .isDead : .diesAfter
            case .failure(number): return .fails
            case .death, .deathIn, .failure, nil: return .works
            }
        }
    }

    /// Carries a call out, unless the agent is dead; one that it dies in has its effect and no answer.
    func call<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
        switch step(name) {
        case .works: return try body()
        case .fails: throw Fault(.unavailable, .internalError, "\(name): no space left on device")
        case .diesAfter:
            _ = try body()
            throw Dead()
        case .isDead: throw Dead()
        }
    }

    struct Dead: Error {}
}
