import APIClient
import APIContract
import FoundationEssentials

/// Finds the server to speak with. The first that names one wins: `--server`, `--context`, the environment, the
/// configuration's current context, a server on this machine.
struct ServerLocator {
    let options: ConnectionOptions
    let surroundings: Surroundings

    /// A server as one source names it. A token or CA that is missing may come from the environment.
    struct Candidate {
        var address: String
        var token: String?
        var tokenFile: String?
        var caFile: String?
        /// What named it, for messages.
        var origin: String
    }

    func locate() throws -> ServerAccess {
        var candidate = try find()
        if let token = options.token { candidate.token = token }
        if let caFile = options.caFile { candidate.caFile = caFile }
        let token = try token(of: candidate)
        do throws(ServerAccess.Refusal) {
            return try ServerAccess(
                address: candidate.address, token: token, caFile: candidate.caFile,
                sendsTokenInClear: options.sendsTokenInClear)
        } catch {
            throw Self.failure(error, origin: candidate.origin)
        }
    }

    private func find() throws -> Candidate {
        if let address = options.server { return try known(address, origin: "--server") }
        if let name = options.context { return try context(name, in: try configuration()) }
        if let address = surroundings.variable("ROOST_SERVER") { return try known(address, origin: "ROOST_SERVER") }
        guard var candidate = try current() ?? local() else {
            throw CommandFailure(
                .unreachable, "No server is known.",
                hint: "set ROOST_SERVER and ROOST_TOKEN, or start a server on this machine with roostd")
        }
        if let token = surroundings.variable("ROOST_TOKEN") { candidate.token = token }
        if let caFile = surroundings.variable("ROOST_CA") { candidate.caFile = caFile }
        return candidate
    }

    /// A token belongs to one server: without one of its own, an address takes that of a context or a local server with
    /// the same address, and never another's.
    private func known(_ address: String, origin: String) throws -> Candidate {
        var candidate = Candidate(address: address, origin: origin)
        let wanted = ServerAccess.normalised(address)
        let named = surroundings.variable("ROOST_SERVER").map { ServerAccess.normalised($0) }
        if named == nil || named == wanted {
            candidate.token = surroundings.variable("ROOST_TOKEN")
            candidate.caFile = surroundings.variable("ROOST_CA")
        }
        if candidate.token != nil || options.token != nil { return candidate }
        let configuration = try configuration()
        let contexts = try (configuration.file.contexts ?? [:]).keys.sorted().map { try context($0, in: configuration) }
        let candidates = contexts + [try? local()].compactMap { $0 }
        return candidates.first { ServerAccess.normalised($0.address) == wanted } ?? candidate
    }

    private func configuration() throws -> (file: ConfigurationFile, path: String) {
        guard let path = ConfigurationFile.path(in: surroundings), let text = try read(path) else {
            return (ConfigurationFile(), ConfigurationFile.path(in: surroundings) ?? "~/.config/roost/config.yaml")
        }
        return (try ConfigurationFile.parse(text, path: path), path)
    }

    private func current() throws -> Candidate? {
        let configuration = try configuration()
        guard let name = configuration.file.current else { return nil }
        return try context(name, in: configuration)
    }

    private func context(
        _ name: String, in configuration: (file: ConfigurationFile, path: String)
    ) throws -> Candidate {
        guard let context = configuration.file.contexts?[name] else {
            let known = (configuration.file.contexts ?? [:]).keys.sorted()
            throw CommandFailure(
                .usage, "\(configuration.path) has no context '\(name)'.",
                hint: known.isEmpty ? "it has none at all" : "it has \(known.joined(separator: ", "))")
        }
        return Candidate(
            address: context.server, token: context.token,
            tokenFile: context.tokenFile.map { Self.path($0, besides: configuration.path) },
            caFile: context.caFile.map { Self.path($0, besides: configuration.path) },
            origin: "context '\(name)' of \(configuration.path)")
    }

    /// The server of this machine, by the hint that it leaves in its data directory.
    private func local() throws -> Candidate? {
        let folders = [surroundings.variable("ROOST_DATA_DIR"), ".roost/server", "/var/lib/roost"]
        for folder in folders.compactMap({ $0 }) {
            let path = folder + "/client.json"
            guard let text = try read(path) else { continue }
            guard let hint = try? JSONDecoder().decode(ClientHint.self, from: Data(text.utf8)) else {
                throw CommandFailure(
                    .usage, "\(path) is not what roostd writes there.",
                    hint: "start roostd again, or set ROOST_SERVER and ROOST_TOKEN")
            }
            return Candidate(
                address: hint.server, tokenFile: Self.path(hint.tokenFile, besides: path),
                caFile: hint.caFile.map { Self.path($0, besides: path) }, origin: path)
        }
        return nil
    }

    private func token(of candidate: Candidate) throws -> String {
        if let token = candidate.token { return token }
        guard let path = candidate.tokenFile else {
            throw CommandFailure(
                .notAllowed, "There is no token for \(candidate.address) (from \(candidate.origin)).",
                hint: "set ROOST_TOKEN; the admin token is in the server's data directory")
        }
        guard let text = try read(path) else {
            throw CommandFailure(
                .notAllowed, "The token file \(path) is missing (named by \(candidate.origin)).",
                hint: "set ROOST_TOKEN, or correct the file's name")
        }
        return String(text.split(whereSeparator: \.isNewline).first ?? "")
    }

    private func read(_ path: String) throws -> String? {
        do {
            return try surroundings.read(path)
        } catch {
            throw CommandFailure(
                error.isDenied ? .notAllowed : .usage, "\(error.path): \(error.detail).",
                hint: error.isDenied
                    ? "run roost as the user that runs roostd, or set ROOST_SERVER and ROOST_TOKEN" : nil)
        }
    }

    private static func path(_ path: String, besides file: String) -> String {
        guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
        return file[...slash] + path
    }

    private static func failure(_ refusal: ServerAccess.Refusal, origin: String) -> CommandFailure {
        switch refusal {
        case .notAnAddress(let address):
            CommandFailure(
                .usage, "'\(address)' (from \(origin)) is no address of a server.",
                hint: "write it as https://HOST:PORT")
        case .plainHTTP(let address):
            CommandFailure(
                .usage, "A token is not sent to \(address) over plain http: others could read it on the way.",
                hint: "use https, or an SSH tunnel to the server's loopback address")
        case .badToken:
            CommandFailure(
                .notAllowed, "The token for \(origin) is empty or no token.",
                hint: "the admin token is one line in the server's data directory")
        }
    }
}
