import APIClient
import Yams

/// A JSON document as YAML, in the same order and with the same types.
enum YAMLText {
    static func render(json text: String) throws(CommandFailure) -> String {
        do {
            let document = try JSONValue(parsing: text)
            return try Yams.serialize(node: node(document), width: -1, allowUnicode: true)
        } catch {
            throw CommandFailure(
                .refused, "The server's answer cannot be shown as YAML.", hint: "-o json shows it as it came")
        }
    }

    private static func node(_ value: JSONValue) -> Node {
        switch value {
        case .null: plain("null")
        case .bool(let value): plain(value ? "true" : "false")
        case .number(let digits): plain(digits)
        case .string(let string): scalar(string)
        case .array(let elements):
            .sequence(.init(elements.map(node), Tag(.seq), elements.isEmpty ? .flow : .block))
        case .object(let members):
            .mapping(
                .init(
                    members.map { (scalar($0.name), node($0.value)) }, Tag(.map), members.isEmpty ? .flow : .block))
        }
    }

    private static func plain(_ text: String) -> Node { .scalar(.init(text, Tag(.implicit), .plain)) }

    /// A string that YAML would read as something else is quoted.
    private static func scalar(_ text: String) -> Node {
        let resolved = Resolver.default.resolveTag(of: plain(text))
        let isOneLine = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
        let isPlain = resolved == .str && !text.isEmpty && isOneLine
        return .scalar(.init(text, Tag(.str), isPlain ? .any : .doubleQuoted))
    }
}
