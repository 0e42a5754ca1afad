import APIClient
import APIContract
import ArgumentParser

/// After the records were restored from an older copy: what differs, and going on.
struct RecoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "After a restore: show where the records and the hosts differ; --accept goes on from there.",
        discussion: """
            A server that works on an older copy of its records only observes: it takes in what the hosts show, and \
            changes nothing. --accept raises the epoch of every VM above all that was seen, takes up what runs newer than \
            recorded, ends or parks the work of before, and lets the server act again.

            Accept once all of your hosts were heard of: what may run on one that was not stays unknown.
            """)

    @Flag(help: "Accept the records as they are now, and let the server act again.") var accept = false
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.run(connection, output) { session in
            let recovery =
                if accept { try await session.client.acceptRecovery() } else { try await session.client.recovery() }
            switch session.printer.format {
            case .table, .wide:
                try session.printer.output.write(recovery.value.text(at: Age(serverTime: recovery.serverTime)))
            case .json, .yaml: try session.printer.document(recovery.text)
            case .name: try session.printer.line(recovery.value.state)
            }
        }
    }
}
