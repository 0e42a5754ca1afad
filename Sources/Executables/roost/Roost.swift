import ArgumentParser
import Glibc

/// The client: `roost NOUN VERB`.
@main
struct Roost: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost",
        abstract: "Runs virtual machines on a fleet of KVM hosts, and never says of one what is not so.",
        discussion: """
            The server is taken from --server, from the context that --context names, from ROOST_SERVER and \
            ROOST_TOKEN, from the current context of ~/.config/roost/config.yaml, or from a roostd on this machine, in \
            this order.

            Exit status: 0 done, 1 the server or the host said no, 2 wrong usage, 3 not found, 4 conflict or \
            superseded, 5 not allowed, 6 no server reached, 7 timed out.
            """,
        subcommands: [
            VMCommand.self, HostCommand.self, ImageCommand.self, GCCommand.self, OperationCommand.self,
            EventCommand.self, StatusCommand.self, RecoverCommand.self, VersionCommand.self, CompletionCommand.self,
        ])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let error as StandardStream.Closed {
            Glibc.exit(error.status)
        } catch {
            let report = ErrorReport(error)
            let stream = report.status == .done ? StandardStream.output : StandardStream.error
            try? stream.write(report.text)
            Glibc.exit(report.status.rawValue)
        }
    }
}
