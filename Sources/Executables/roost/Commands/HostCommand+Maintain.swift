import APIClient
import APIContract
import ArgumentParser

extension HostCommand {
    struct Maintain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a host take no new VMs, and move those that run there to other hosts.",
            discussion: """
                No guest is stopped unless --stop-immovable is given: what cannot move runs on, and the drain says why and \
                waits for it. 'roost operation cancel' ends the drain, and 'roost host enable' the maintenance.
                """)

        @Argument(help: "The host's name or id.") var host: Reference
        @Flag(help: "Change nothing; say what would become of each VM.") var plan = false
        @Flag(help: "Stop the VMs that cannot be moved.") var stopImmovable = false
        @Flag(name: .customLong("no-wait"), help: "Do not wait for the end; print the operation's id.")
        var isImmediate = false
        @Option(
            name: .customLong("timeout"), help: ArgumentHelp("How long to wait for the end.", valueName: "seconds"),
            transform: Positive.init(argument:))
        var seconds = Positive(3600)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                if plan { return try await showPlan(session) }
                let operation = try await session.client.maintainHost(
                    host.text, MaintainHostRequest(stopImmovable: stopImmovable ? true : nil))
                let waiting = OperationWait(session: session, host: host.text, seconds: seconds.value)
                if isImmediate { try waiting.accepted(operation) } else { try await waiting.report(operation) }
            }
        }

        private func showPlan(_ session: Session) async throws {
            async let names = session.names([.hosts])
            let plan = try await session.client.drainPlan(of: host.text)
            let book = await names
            switch session.printer.format {
            case .table, .wide:
                let columns = PlannedVM.columns(book, stopsImmovable: stopImmovable)
                try session.printer.output.write(
                    Table.render(plan.value.vms, columns: columns, isWide: session.printer.format == .wide))
            case .json, .yaml: try session.printer.document(plan.text)
            case .name: for vm in plan.value.vms { try session.printer.line(vm.name) }
            }
        }
    }
}
