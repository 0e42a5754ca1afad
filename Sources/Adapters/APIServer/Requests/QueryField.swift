import Domain

/// One query parameter: how it is read, what is said when it is wrong, and how the API's document shows it.
package struct QueryField<Value: Sendable>: QueryFieldDescription {
    package let name: String
    package let summary: String
    package let schema: JSONValue
    let expectation: String
    /// nil: not what is expected.
    let read: @Sendable (String) -> Value?
}

/// A query parameter, whatever its type.
package protocol QueryFieldDescription: Sendable {
    var name: String { get }
    var summary: String { get }
    var schema: JSONValue { get }
}

extension QueryField<Int64> {
    static func integer(_ name: String, in range: ClosedRange<Int64>, _ summary: String) -> QueryField<Int64> {
        QueryField(
            name: name, summary: summary,
            schema: ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)],
            expectation: "must be a whole number from \(range.lowerBound) to \(range.upperBound)",
            read: { text in
                // `Int64(_:)` also takes a plus sign, which stands for a space in a query.
                guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
                return Int64(text).flatMap { range.contains($0) ? $0 : nil }
            })
    }
}

extension QueryField<Bool> {
    static func flag(_ name: String, _ summary: String) -> QueryField<Bool> {
        QueryField(
            name: name, summary: summary, schema: ["type": "boolean"], expectation: "must be true or false",
            read: { text in
                switch text {
                case "true": true
                case "false": false
                default: nil
                }
            })
    }
}

extension QueryField<String> {
    static func text(_ name: String, upTo lengthMax: Int, _ summary: String) -> QueryField<String> {
        QueryField(
            name: name, summary: summary,
            schema: ["type": "string", "minLength": 1, "maxLength": .integer(lengthMax)],
            expectation: "must be a text of 1 to \(lengthMax) characters",
            read: { text in (1...lengthMax).contains(text.unicodeScalars.count) ? text : nil })
    }

    static func choice(_ name: String, of words: [String], _ summary: String) -> QueryField<String> {
        QueryField(
            name: name, summary: summary,
            schema: ["type": "string", "enum": .array(words.map { .string($0) })],
            expectation: "must be one of \(words.joined(separator: ", "))",
            read: { text in words.contains(text) ? text : nil })
    }
}
