/// What people say of a host or a VM: keys with a value each, by which it is found and placed.
///
/// Keys and values follow Kubernetes' rules, so that they are good in a query, a file and a shell.
package struct Labels: Hashable, Sendable {
    package let values: [String: String]

    package static let none = Labels(trusted: [:])
    package static let countMax = 64
    /// The longest value, and the longest key without its prefix; characters, which are ASCII.
    package static let wordLengthMax = 63
    /// The longest prefix of a key: a DNS name before the slash.
    package static let prefixLengthMax = 253

    /// Takes labels that were checked before.
    package init(trusted values: [String: String]) { self.values = values }

    /// Throws a fault that names `field` and the rule that is broken.
    package init(_ values: [String: String], field: String) throws(Fault) {
        guard values.count <= Self.countMax else {
            throw .invalid(field, "has \(values.count) labels; \(Self.countMax) are allowed.")
        }
        // In one order, so that the same request gets the same answer.
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            try Self.check(key: key, field: field)
            try Self.check(value: value, of: key, field: field)
        }
        self.values = values
    }

    /// Reads `key=value`, several with commas between them.
    package init(parsing text: String, field: String) throws(Fault) {
        var values: [String: String] = [:]
        for pair in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw .invalid(
                    field, "'\(pair.prefix(Self.wordLengthMax))' is not key=value.",
                    hint: "Write key=value, and more of them with commas between.")
            }
            guard values.updateValue(String(parts[1]), forKey: String(parts[0])) == nil else {
                throw .invalid(field, "names the key '\(parts[0].prefix(Self.wordLengthMax))' twice.")
            }
        }
        try self.init(values, field: field)
    }

    package var isEmpty: Bool { values.isEmpty }

    /// Key and value, in order of the keys.
    package var pairs: [(key: String, value: String)] {
        values.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value) }
    }

    package func has(_ pair: (key: String, value: String)) -> Bool { values[pair.key] == pair.value }

    /// The first of `wanted` that is not here.
    package func firstMissing(of wanted: Labels) -> (key: String, value: String)? { wanted.pairs.first { !has($0) } }

    /// The first label that `other` has as well.
    package func firstShared(with other: Labels) -> (key: String, value: String)? { pairs.first { other.has($0) } }
}

extension Labels: CustomStringConvertible {
    package var description: String { pairs.map { "\($0.key)=\($0.value)" }.joined(separator: ", ") }
}

extension Labels: Codable {
    package init(from decoder: any Decoder) throws {
        values = try decoder.singleValueContainer().decode([String: String].self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(values)
    }
}

/// A change of labels, as a JSON merge patch has it.
package struct LabelPatch: Hashable, Sendable {
    /// Whether the labels that are not named go.
    package let replacesAll: Bool
    /// The new value of each key that is named; nil removes it.
    package let changes: [String: String?]

    package init(replacesAll: Bool = false, changes: [String: String?]) {
        self.replacesAll = replacesAll
        self.changes = changes
    }

    package static let removeAll = LabelPatch(replacesAll: true, changes: [:])
}

extension Labels {
    /// The labels after `patch`. Removing what is not there changes nothing. Throws a fault that names `field`.
    package func applying(_ patch: LabelPatch, field: String = "labels") throws(Fault) -> Labels {
        var next = patch.replacesAll ? [:] : values
        for (key, value) in patch.changes {
            try Self.check(key: key, field: field)
            next[key] = value
        }
        return try Labels(next, field: field)
    }

    private static func check(key: String, field: String) throws(Fault) {
        let parts = key.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let shown = key.prefix(wordLengthMax)
        if parts.count == 2 {
            let isGood =
                parts[0].utf8.count <= prefixLengthMax
                && parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isDNSLabel)
            guard isGood else {
                throw .invalid(
                    field, "the key '\(shown)' has a bad prefix.",
                    hint:
                        "Before the slash stands a DNS name of at most \(prefixLengthMax) characters: example.com/zone."
                )
            }
        }
        guard let name = parts.last, isWord(name) else {
            throw .invalid(
                field, "the key '\(shown)' is not allowed.",
                hint: "Use 1 to \(wordLengthMax) letters, digits, '-', '_' and '.', with a letter or digit first and "
                    + "last; a DNS name and a slash may stand before it.")
        }
    }

    private static func check(value: String, of key: String, field: String) throws(Fault) {
        guard value.isEmpty || isWord(value[...]) else {
            throw .invalid(
                field, "the value of '\(key.prefix(wordLengthMax))' is not allowed.",
                hint:
                    "Use at most \(wordLengthMax) letters, digits, '-', '_' and '.', with a letter or digit first and "
                    + "last, or leave it empty.")
        }
    }

    private static func isWord(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= wordLengthMax else { return false }
        return isLetterOrDigit(first) && isLetterOrDigit(last)
            && bytes.allSatisfy { isLetterOrDigit($0) || "-_.".utf8.contains($0) }
    }

    private static func isDNSLabel(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 63 else { return false }
        let lowerOrDigit = { (byte: UInt8) in
            isLetterOrDigit(byte) && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
        }
        return lowerOrDigit(first) && lowerOrDigit(last)
            && bytes.allSatisfy { lowerOrDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
