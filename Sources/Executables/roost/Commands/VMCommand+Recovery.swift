import APIContract
import ArgumentParser

extension VMCommand {
    struct Recover: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring a destroyed VM back: it is stopped, with its disk.")

        @Argument(help: "The VM's id; its name will do if only one destroyed VM has it, and no other VM.")
        var vm: Reference
        @Option(help: "What to call it from now on, if its name is taken.") var name: Reference?
        @OptionGroup var wait: WaitOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.recoverVM(vm.text, RecoverVMRequest(name: name?.text))
                let waiting = OperationWait(session: session, vm: vm.text, seconds: wait.seconds.value)
                if wait.isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }
    }

    struct Expunge: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove what is left of a destroyed VM: its disk and its record.")

        @Argument(help: "The VM's id; its name will do if only one destroyed VM has it, and no other VM.")
        var vm: Reference
        @OptionGroup var wait: WaitOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.expungeVM(vm.text)
                let waiting = OperationWait(session: session, vm: vm.text, seconds: wait.seconds.value)
                if wait.isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }
    }
}
