import APIClient
import APIContract
import ArgumentParser

/// What the program's end says to a script.
enum ExitStatus: Int32, CaseIterable {
    case done = 0
    /// The server or the host said no.
    case refused = 1
    case usage = 2
    case notFound = 3
    /// A conflict, or superseded by a later request.
    case conflict = 4
    case notAllowed = 5
    case unreachable = 6
    case timedOut = 7

    init(of problem: Problem) {
        self =
            switch problem.status {
            case 401, 403: .notAllowed
            case 404: .notFound
            case 408, 504: .timedOut
            case 409, 412: .conflict
            default: .refused
            }
    }

    init(of failure: APIFailure) {
        self =
            switch failure {
            case .problem(let problem): ExitStatus(of: problem)
            case .unreachable: .unreachable
            case .timedOut: .timedOut
            case .unexpectedAnswer: .refused
            case .fileUnreadable: .usage
            }
    }
}

/// Why a command ends without having done what it was asked.
struct CommandFailure: Error, Hashable {
    let status: ExitStatus
    let message: String
    let hint: String?

    init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
        self.status = status
        self.message = message
        self.hint = hint
    }

    init(_ failure: APIFailure) {
        self.init(ExitStatus(of: failure), failure.message, hint: failure.hint)
    }

    /// The same failure, with a further hint after its own.
    func adding(hint further: String) -> CommandFailure {
        CommandFailure(status, message, hint: hint.map { "\($0)\n\(further)" } ?? further)
    }
}

/// What is printed for an error, and the exit status that goes with it: the one place where both are decided.
struct ErrorReport {
    let status: ExitStatus
    let text: String

    private init(status: ExitStatus, text: String) {
        self.status = status
        self.text = text
    }

    init(_ error: any Error) {
        switch error {
        case let failure as CommandFailure:
            self.init(failure)
        case let failure as APIFailure:
            self.init(CommandFailure(failure))
        default:
            self.init(parsing: error)
        }
    }

    private init(_ failure: CommandFailure) {
        status = failure.status
        var lines = ["roost: " + TerminalText.visible(failure.message)]
        for hint in (failure.hint ?? "").split(separator: "\n") {
            lines.append("hint: " + TerminalText.visible(String(hint)))
        }
        text = lines.joined(separator: "\n") + "\n"
    }

    /// Help that was asked for, or arguments that cannot be used.
    private init(parsing error: any Error) {
        let full = Roost.fullMessage(for: error)
        switch Roost.exitCode(for: error) {
        case .success:
            self.init(status: .done, text: full.isEmpty || full.hasSuffix("\n") ? full : full + "\n")
        case .validationFailure:
            let command = full.split(separator: "\n").last { $0.contains("See '") }
                .flatMap { $0.split(separator: "'").dropFirst().first }
            self.init(
                CommandFailure(
                    .usage, Roost.message(for: error),
                    hint: "\(command ?? "roost --help") shows how it is used"))
        default:
            // Nothing of an error that nobody foresaw is shown: its text is not meant for the reader.
            self.init(
                CommandFailure(
                    .refused, "An error occurred that this program does not know.",
                    hint: "compare the versions with 'roost version'"))
        }
    }
}
