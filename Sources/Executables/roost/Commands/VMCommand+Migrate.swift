import APIClient
import APIContract
import ArgumentParser

extension VMCommand {
    struct Migrate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move a VM to another host.",
            discussion: """
                The guest goes on all the while, unless --cold is given. 'roost operation cancel' breaks a live move off: \
                the guest stays where it is then.
                """)

        @Argument(help: "The VM's name or id.") var vm: Reference
        @Option(help: "The host to move it to; the best one if not given.") var to: Reference?
        @Flag(help: "Stop it here, and start it there.") var cold = false
        @Flag(help: "Copy its root disk to the other host's own pool.") var copyStorage = false
        @Flag(help: "Slow a guest down that changes its memory faster than it can be copied.")
        var autoConverge = false
        @Flag(
            help: """
                When the time is up, let it go on there before all of its memory is: a broken network then costs the guest.
                """)
        var postCopy = false
        @Option(
            help: ArgumentHelp(
                "How long may be copied before the move is given up; with --cold, the guest's time to power off.",
                valueName: "seconds"), transform: Positive.init(argument:))
        var timeout: Positive?
        @Flag(name: .customLong("no-wait"), help: "Do not wait for the end; print the operation's id.")
        var isImmediate = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let request = MigrateVMRequest(
                    host: to?.text, live: !cold, copyStorage: copyStorage ? true : nil,
                    autoConverge: autoConverge ? true : nil, postCopy: postCopy ? true : nil,
                    timeout: cold ? nil : timeout?.value, stopTimeout: cold ? timeout?.value : nil)
                let operation = try await session.client.migrateVM(vm.text, request)
                let most = (timeout?.value ?? 3600).multipliedReportingOverflow(by: 2).partialValue
                let waiting = OperationWait(session: session, vm: vm.text, seconds: max(most, 600))
                if isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }
    }
}
