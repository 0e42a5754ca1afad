import APIClient
import APIContract
import ArgumentParser

struct HostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "host", abstract: "The machines that VMs run on.",
        subcommands: [
            Add.self, List.self, Show.self, Delete.self, Enable.self, Disable.self, Maintain.self, Reconnect.self,
            Fence.self, Token.self, Label.self, Orphans.self,
        ])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a host, and print the one line to run on it.")

        @Argument(help: "The host's name.") var name: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                try HostCommand.printToken(try await session.client.addHost(name.text), session)
            }
        }
    }

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new join token, for a host that has not joined or has lost its data.")

        @Argument(help: "The host's name or id.") var host: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                try HostCommand.printToken(try await session.client.makeJoinToken(for: host.text), session)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List hosts.")

        @OptionGroup var filter: LabelFilter
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let hosts = try await session.client.hosts(label: filter.query)
                try session.printer.list(
                    hosts, columns: HostResource.columns(Age(serverTime: hosts.serverTime)), name: \.name)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show all that is known of a host.")

        @Argument(help: "The host's name or id.") var host: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let host = try await session.client.host(host.text)
                let names = host.value.sightings.isEmpty ? NameBook() : await session.names([.vms])
                try session.printer.one(host, name: host.value.name) { $0.facts(names) }
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a host.",
            discussion: """
                A host with VMs is deleted with --force only. What may still run on it is listed, and its VMs stay \
                unknown: only proof that the host is off settles them.
                """)

        @Argument(help: "The host's name or id.") var host: Reference
        @Flag(name: .customLong("force"), help: "Also when VMs are placed on it.") var isForced = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let deleted = try await session.client.deleteHost(host.text, isForced: isForced)
                let isLeftover = !deleted.value.unresolvedVMs.isEmpty || !deleted.value.sightings.isEmpty
                let names = isLeftover ? await session.names([.vms]) : NameBook()
                try session.printer.done(
                    deleted.value.lines(names), json: deleted.text, name: deleted.value.name)
            }
        }
    }

    /// Prints the command alone on standard output, so that a script can take it as it is.
    fileprivate static func printToken(_ added: Answer<AddedHost>, _ session: Session) throws {
        try session.printer.done(added.value.command, json: added.text, name: added.value.name)
        guard session.printer.isForPeople else { return }
        try session.printer.note(
            "Run this line on \(added.value.name). Its token works once, until \(added.value.expiresAt).")
    }
}

extension DeletedHost {
    /// What was done and what it leaves behind, a line each.
    fileprivate func lines(_ names: NameBook) -> [String] {
        var lines = ["Deleted \(name)."]
        for vm in unresolvedVMs {
            lines.append("\(names[vm]) may still run there: it stays unknown until '\(name)' is fenced.")
        }
        for sighting in sightings {
            lines.append(
                "A domain of \(names[sighting.vm]) with epoch \(sighting.epoch) was \(sighting.state) there at "
                    + "\(sighting.seenAt), and no record owns it.")
        }
        if !cancelledJobs.isEmpty { lines.append("Cancelled GC jobs: \(cancelledJobs.joined(separator: ", ")).") }
        return lines
    }
}
