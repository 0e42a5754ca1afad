import ArgumentParser

extension HostCommand {
    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let a host take new VMs.")

        @Argument(help: "The host's name or id.") var host: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let host = try await session.client.enableHost(host.text)
                try session.printer.done(
                    "\(host.value.name) is \(host.value.state).", json: host.text, name: host.value.name)
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a host take no new VMs. Those that run there go on.")

        @Argument(help: "The host's name or id.") var host: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let host = try await session.client.disableHost(host.text)
                try session.printer.done(
                    "\(host.value.name) is \(host.value.state).", json: host.text, name: host.value.name)
            }
        }
    }

    struct Reconnect: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a host's session, so that its agent dials in anew.")

        @Argument(help: "The host's name or id.") var host: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let host = try await session.client.reconnectHost(host.text)
                try session.printer.done(
                    "Asked \(host.value.name) to reconnect; it is \(host.value.connection) now.", json: host.text,
                    name: host.value.name)
            }
        }
    }

    struct Fence: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare that a host is off. Its VMs then count as stopped.",
            discussion: """
                Make sure first: a VM that is started elsewhere while the host still runs it runs twice, on one disk.
                """)

        @Argument(help: "The host's name or id.") var host: Reference
        @Option(help: "How you know that it is off; kept in the audit log.") var proof: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if proof.allSatisfy(\.isWhitespace) {
                throw ValidationError("--proof is empty: say how you know that the host is off.")
            }
        }

        func run() async throws {
            try await Session.run(connection, output) { session in
                let host = try await session.client.fenceHost(host.text, proof: proof)
                try session.printer.done(
                    "Fenced \(host.value.name): what ran there counts as stopped.", json: host.text,
                    name: host.value.name)
            }
        }
    }
}
