import APIClient
import APIContract
import ArgumentParser

struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show the versions of this client and of the server.",
        discussion: "Ends well also when no server is reached: this client's version is known all the same.")

    @Flag(help: "Do not ask the server.") var client = false
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let printer = Printer(format: output.format)
        var server: VersionResource?
        if !client {
            do {
                let access = try ServerLocator(options: connection, surroundings: .process).locate()
                server = try await RoostClient.using(access) { try await $0.version().value }
            } catch let failure as CommandFailure where failure.status != .usage {
                try printer.note("The server's version is not known: \(failure.message)")
            } catch let failure as APIFailure {
                try printer.note("The server's version is not known: \(failure.message)")
            }
        }
        try show(server, printer)
    }

    private func show(_ server: VersionResource?, _ printer: Printer) throws {
        switch printer.format {
        case .table, .wide:
            var facts = [(name: "client", value: "\(Release.version) (API \(Release.apiVersion))")]
            if let server { facts.append((name: "server", value: "\(server.version) (API \(server.apiVersion))")) }
            try printer.output.write(Table.render(facts: facts))
        case .json, .yaml:
            let document = JSONValue.object([
                ("client", Self.document(Release.version, Release.apiVersion)),
                ("server", server.map { Self.document($0.version, $0.apiVersion) } ?? .null),
            ])
            try printer.document(document.text)
        case .name: try printer.line(Release.version)
        }
    }

    private static func document(_ version: String, _ apiVersion: String) -> JSONValue {
        .object([("version", .string(version)), ("apiVersion", .string(apiVersion))])
    }
}
