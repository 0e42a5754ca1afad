import APIContract
import ArgumentParser

extension VMCommand {
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start a VM.")

        @Argument(help: "The VM's name or id.") var vm: Reference
        @Option(help: "The host to start it on; Roost chooses one otherwise.") var host: Reference?
        @OptionGroup var wait: WaitOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.startVM(vm.text, StartVMRequest(host: host?.text))
                let waiting = OperationWait(session: session, vm: vm.text, seconds: wait.seconds.value)
                if wait.isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop a VM.",
            discussion: """
                'grace' asks the guest and cuts the power when the time is up, 'cold' cuts it at once, 'force' also \
                kills a QEMU that libvirt cannot end. With --defer, a stop whose host cannot be asked is left to a GC \
                job.
                """)

        enum Mode: String, CaseIterable, ExpressibleByArgument { case grace, cold, force }

        @Argument(help: "The VM's name or id.") var vm: Reference
        @Option(help: "How: grace, cold or force.") var mode = Mode.grace
        @Option(
            help: ArgumentHelp("How long the guest may take, with grace.", valueName: "seconds"),
            transform: Positive.init(argument:))
        var timeout = Positive(120)
        @Flag(name: .customLong("defer"), help: "Accept a stop that can only be done later.") var isDeferrable = false
        @Option(
            name: .customLong("expected-host"),
            help: "Refuse unless the VM is placed on this host.") var expectedHost: Reference?
        @Option(
            name: .customLong("expected-epoch"),
            help: "Refuse unless this is the VM's epoch.") var expectedEpoch: Int64?
        @Flag(name: .customLong("no-wait"), help: "Do not wait for the end; print the operation's id.")
        var isImmediate = false
        @Option(
            name: .customLong("wait-timeout"),
            help: ArgumentHelp(
                "How long to wait for the end; 60 s more than the guest may take, otherwise.", valueName: "seconds"),
            transform: Positive.init(argument:))
        var waitSeconds: Positive?
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.stopVM(
                    vm.text,
                    StopVMRequest(
                        mode: mode.rawValue, timeout: mode == .grace ? timeout.value : nil, defer: isDeferrable,
                        expectedHost: expectedHost?.text, expectedEpoch: expectedEpoch))
                let waiting = OperationWait(session: session, vm: vm.text, seconds: secondsToWait)
                if isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }

        private var secondsToWait: Int {
            waitSeconds?.value ?? (mode == .grace ? timeout.value : 0).addingReportingOverflow(60).partialValue
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Destroy a VM: its power is cut.",
            discussion: """
                Its disk and its record are kept for a time, as the server is set up; until then 'roost vm recover' brings \
                it back. With --expunge nothing is kept.
                """)

        @Argument(help: "The VM's name or id.") var vm: Reference
        @Flag(name: .customLong("defer"), help: "Accept a deletion that can only be finished later.")
        var isDeferrable = false
        @Flag(name: .customLong("expunge"), help: "Keep nothing: remove its disk and its record too.")
        var isExpunged = false
        @OptionGroup var wait: WaitOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let operation = try await session.client.deleteVM(
                    vm.text, isDeferrable: isDeferrable, isExpunged: isExpunged)
                let waiting = OperationWait(session: session, vm: vm.text, seconds: wait.seconds.value)
                if wait.isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }
    }
}
