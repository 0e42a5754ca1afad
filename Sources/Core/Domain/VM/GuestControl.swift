/// What can be done to a guest that keeps its domain.
package enum GuestControl: String, CaseIterable, Sendable, Codable {
    /// Halts its CPUs; its memory stays.
    case pause
    /// Lets its CPUs go on.
    case resume
    /// Presses its reset button: it boots anew, and is not asked.
    case reset
    /// Asks it to boot anew, by its power button, and resets it when its time is up.
    case reboot

    /// How a report shows the guest once it is done.
    package var seenAs: VMEvent.SeenAs {
        switch self {
        case .pause: .paused
        case .resume, .reset, .reboot: .running
        }
    }

    package var outcome: JobOutcome {
        switch self {
        case .pause: .paused
        case .resume: .resumed
        case .reset: .reset
        case .reboot: .rebooted
        }
    }

    package var effect: CommandResult.Effect {
        switch self {
        case .pause: .paused
        case .resume: .resumed
        case .reset: .reset
        case .reboot: .rebooted
        }
    }
}
