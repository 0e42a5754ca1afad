package import Domain

/// A request's query, read strictly: an unknown parameter, or one that is there twice, is refused.
package struct QueryValues: Sendable {
    private let values: [String: String]

    package init(_ query: String, knowing fields: [any QueryFieldDescription]) throws(Fault) {
        var values: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = percentDecoded(parts[0], plusIsSpace: true),
                let value = percentDecoded(parts.count > 1 ? parts[1] : "", plusIsSpace: true)
            else {
                throw Fault(.invalid, .invalidField, "The query is not percent-encoded UTF-8.")
            }
            guard fields.contains(where: { $0.name == name }) else {
                let known = fields.map(\.name).joined(separator: ", ")
                throw .invalid(
                    String(name.prefix(64)), "is not a query parameter of this path.",
                    hint: known.isEmpty ? "It takes none." : "It takes \(known).")
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw .invalid(name, "is there twice.")
            }
        }
        self.values = values
    }

    /// The parameter's value; nil when it is absent.
    package func optional<Value>(_ field: QueryField<Value>) throws(Fault) -> Value? {
        guard let text = values[field.name] else { return nil }
        guard let value = field.read(text) else { throw .invalid(field.name, "\(field.expectation).") }
        return value
    }
}

/// `text` with its `%XX` resolved; nil if one is broken or the result is no UTF-8.
func percentDecoded(_ text: Substring, plusIsSpace: Bool = false) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "%"):
            guard let high = rest.popFirst(), let low = rest.popFirst(),
                let upper = Character(Unicode.Scalar(high)).hexDigitValue,
                let lower = Character(Unicode.Scalar(low)).hexDigitValue
            else { return nil }
            bytes.append(UInt8(upper << 4 | lower))
        case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
        default: bytes.append(byte)
        }
    }
    return String(validating: bytes, as: UTF8.self)
}
