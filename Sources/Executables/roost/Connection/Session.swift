import APIClient

/// One run of a command: the server it speaks with, and where its output goes.
struct Session: Sendable {
    let client: RoostClient
    let printer: Printer

    /// Finds the server, runs `body`, and closes the connections.
    static func run(
        _ connection: ConnectionOptions, _ output: OutputOptions, _ body: (Session) async throws -> Void
    ) async throws {
        try await run(connection, format: output.format, body)
    }

    static func run(
        _ connection: ConnectionOptions, format: OutputFormat, _ body: (Session) async throws -> Void
    ) async throws {
        let access = try ServerLocator(options: connection, surroundings: .process).locate()
        try await RoostClient.using(access) { client in
            try await body(Session(client: client, printer: Printer(format: format)))
        }
    }

    /// The names of those kinds, where the output shows names; none are looked up for programs.
    func names(_ kinds: Set<NameBook.Kind>) async -> NameBook {
        printer.isForPeople ? await NameBook.load(kinds, from: client) : NameBook()
    }
}
