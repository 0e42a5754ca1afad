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
