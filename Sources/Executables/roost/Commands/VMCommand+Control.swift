import APIClient
import APIContract
import ArgumentParser

extension VMCommand {
    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Halt a VM's CPUs; its memory stays.")

        @OptionGroup var control: ControlOptions

        func run() async throws { try await control.run("pause") }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let a paused VM go on.")

        @OptionGroup var control: ControlOptions

        func run() async throws { try await control.run("resume") }
    }

    struct Reset: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Press a VM's reset button: it boots anew, without being asked.")

        @OptionGroup var control: ControlOptions

        func run() async throws { try await control.run("reset") }
    }

    struct Reboot: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask a VM's guest to boot anew, and reset it when its time is up.")

        @Argument(help: "The VM's name or id.") var vm: Reference
        @Option(
            help: ArgumentHelp("How long the guest may take.", valueName: "seconds"),
            transform: Positive.init(argument:))
        var timeout = Positive(120)
        @Flag(name: .customLong("no-wait"), help: "Do not wait for the end; print the operation's id.")
        var isImmediate = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.rebootVM(vm.text, timeout: timeout.value)
                let seconds = timeout.value.addingReportingOverflow(60).partialValue
                let waiting = OperationWait(session: session, vm: vm.text, seconds: seconds)
                if isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }
    }

    /// What pause, resume and reset have in common.
    struct ControlOptions: ParsableArguments {
        @Argument(help: "The VM's name or id.") var vm: Reference
        @OptionGroup var wait: WaitOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run(_ action: String) async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.controlVM(vm.text, action)
                let waiting = OperationWait(session: session, vm: vm.text, seconds: wait.seconds.value)
                if wait.isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }
    }
}
