/// What can be done to a guest that keeps its domain.
package enum GuestControl: String, CaseIterable, Sendable, Codable {
    /// Halts its CPUs; its memory stays.
    case pause
    /// Lets its CPUs go on.
    case resume
    /// Presses its reset button: it boots anew, and is not asked.
    case reset

    /// How a report shows the guest once it is done.
    package var seenAs: VMEvent.SeenAs {
        switch self {
        case .pause: .paused
        case .resume, .reset: .running
        }
    }

    package var outcome: JobOutcome {
        switch self {
        case .pause: .paused
        case .resume: .resumed
        case .reset: .reset
        }
    }

    package var effect: CommandResult.Effect {
        switch self {
        case .pause: .paused
        case .resume: .resumed
        case .reset: .reset
        }
    }
}
