import Yams

/// `~/.config/roost/config.yaml`: named contexts, one of them the current.
struct ConfigurationFile: Decodable, Hashable {
    var current: String?
    var contexts: [String: Context]?

    struct Context: Decodable, Hashable {
        var server: String
        var token: String?
        /// A path from the file's own folder, or an absolute one; `caFile` too.
        var tokenFile: String?
        var caFile: String?
    }

    /// Where the file is looked for; nil in an environment without a home.
    static func path(in surroundings: Surroundings) -> String? {
        if let folder = surroundings.variable("XDG_CONFIG_HOME") { return folder + "/roost/config.yaml" }
        return surroundings.variable("HOME").map { $0 + "/.config/roost/config.yaml" }
    }

    static func parse(_ text: String, path: String) throws(CommandFailure) -> ConfigurationFile {
        do {
            return try YAMLDecoder().decode(ConfigurationFile.self, from: text)
        } catch {
            var place = ""
            if case DecodingError.dataCorrupted(let context) = error, let cause = context.underlyingError as? YamlError,
                case .parser(_, _, let mark, _) = cause
            {
                place = " at line \(mark.line)"
            }
            throw CommandFailure(
                .usage, "\(path) cannot be read\(place).",
                hint: "it looks like this: {current: prod, contexts: {prod: {server: https://…, tokenFile: …}}}")
        }
    }
}
