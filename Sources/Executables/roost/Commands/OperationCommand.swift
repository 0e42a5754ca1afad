import APIContract
import ArgumentParser

struct OperationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operation", abstract: "Operations: what was asked for, and what came of it.",
        subcommands: [List.self, Show.self, Wait.self, Cancel.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List operations, the newest first.")

        @Option(help: "Only those of this VM.") var vm: Reference?
        @Option(help: "Only those on this host.") var host: Reference?
        @Option(help: "Only those in this state.") var state: String?
        @Option(help: "How many at most.", transform: Positive.init(argument:)) var limit = Positive(50)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                async let names = session.names([.hosts, .vms])
                let operations = try await session.client.operations(
                    vm: vm?.text, host: host?.text, state: state, limit: limit.value)
                try session.printer.list(
                    operations,
                    columns: OperationResource.columns(await names, Age(serverTime: operations.serverTime)),
                    name: \.id)
                if operations.hasMore, session.printer.isForPeople {
                    try session.printer.note("There are more: --limit shows more of them.")
                }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show all that is known of an operation.")

        @Argument(help: "The operation's id.") var operation: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                async let names = session.names([.hosts, .vms])
                let operation = try await session.client.operation(operation.text)
                let book = await names
                try session.printer.one(operation, name: operation.value.id) { $0.facts(book) }
            }
        }
    }

    struct Wait: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Wait for an operation's end. The exit status tells how it ended.")

        @Argument(help: "The operation's id.") var operation: Reference
        @Option(
            help: ArgumentHelp("How long to wait.", valueName: "seconds"), transform: Positive.init(argument:))
        var timeout = Positive(600)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.operation(operation.text)
                // A VM that is gone has no name any more; its id stands for it then.
                let name: String?
                if let vm = operation.value.vm {
                    name = try? await session.client.vm(vm).value.name
                } else if let host = operation.value.host {
                    name = try? await session.client.host(host).value.name
                } else {
                    name = nil
                }
                let subject = name ?? operation.value.vm ?? operation.value.host ?? operation.value.id
                let waiting = OperationWait(session: session, subject: subject, seconds: timeout.value)
                try await waiting.report(operation)
            }
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Cancel a live move or a drain. Others are refused, with what overtakes them.")

        @Argument(help: "The operation's id.") var operation: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.cancelOperation(operation.text)
                try session.printer.done(
                    "Operation \(operation.value.id) is \(operation.value.state).", json: operation.text,
                    name: operation.value.id)
            }
        }
    }
}
