/// A JSON document that keeps the order of its members and the digits of its numbers.
package indirect enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// The number as it was written.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([(name: String, value: JSONValue)])

    /// Where and why a text is no JSON.
    package struct Malformed: Error, Hashable, Sendable {
        package let offset: Int
        package let detail: String
    }

    /// Reads one document; anything but white space after it is an error, and so is nesting deeper than 128.
    package init(parsing text: String) throws(Malformed) {
        var reader = JSONReader(bytes: Array(text.utf8))
        self = try reader.document()
    }

    /// The member `name` of an object.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The elements of an array.
    package var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The document on one line.
    package var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let digits): digits
        case .string(let string): Self.quoted(string)
        case .array(let elements): "[" + elements.map(\.text).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { Self.quoted($0.name) + ":" + $0.value.text }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ string: String) -> String {
        var text = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}

/// A cursor over the bytes of a JSON text.
private struct JSONReader {
    let bytes: [UInt8]
    var offset = 0
    var depth = 0

    mutating func document() throws(JSONValue.Malformed) -> JSONValue {
        let value = try value()
        skipSpace()
        guard offset == bytes.count else { throw malformed("text after the document") }
        return value
    }

    mutating func value() throws(JSONValue.Malformed) -> JSONValue {
        skipSpace()
        guard offset < bytes.count else { throw malformed("the text ends too early") }
        switch bytes[offset] {
        case UInt8(ascii: "{"): return try nested { reader throws(JSONValue.Malformed) in try reader.object() }
        case UInt8(ascii: "["): return try nested { reader throws(JSONValue.Malformed) in try reader.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func nested(
        _ body: (inout JSONReader) throws(JSONValue.Malformed) -> JSONValue
    ) throws(JSONValue.Malformed) -> JSONValue {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 128 else { throw malformed("nested too deeply") }
        return try body(&self)
    }

    private mutating func object() throws(JSONValue.Malformed) -> JSONValue {
        var members: [(name: String, value: JSONValue)] = []
        offset += 1
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            let name = try string()
            skipSpace()
            guard take(":") else { throw malformed("a colon is missing") }
            members.append((name, try value()))
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw malformed("a comma or brace is missing") }
        }
    }

    private mutating func array() throws(JSONValue.Malformed) -> JSONValue {
        var elements: [JSONValue] = []
        offset += 1
        skipSpace()
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value())
            skipSpace()
            if take("]") { return .array(elements) }
            guard take(",") else { throw malformed("a comma or bracket is missing") }
        }
    }

    private mutating func string() throws(JSONValue.Malformed) -> String {
        guard take("\"") else { throw malformed("a string is missing") }
        var utf8: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: utf8, as: UTF8.self)
            case UInt8(ascii: "\\"): utf8 += String(try escaped()).utf8
            case 0..<0x20: throw malformed("a control character in a string")
            default: utf8.append(byte)
            }
        }
        throw malformed("a string does not end")
    }

    private mutating func escaped() throws(JSONValue.Malformed) -> Unicode.Scalar {
        guard offset < bytes.count else { throw malformed("a string does not end") }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try codeUnit()
            if let scalar = Unicode.Scalar(unit) { return scalar }
            guard unit < 0xDC00, take("\\"), take("u") else { throw malformed("half a surrogate pair") }
            let low = try codeUnit()
            guard (0xDC00...0xDFFF).contains(low),
                let scalar = Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
            else { throw malformed("half a surrogate pair") }
            return scalar
        default: throw malformed("an unknown escape")
        }
    }

    private mutating func codeUnit() throws(JSONValue.Malformed) -> UInt32 {
        guard offset + 4 <= bytes.count,
            bytes[offset..<offset + 4].allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }),
            let unit = UInt32(String(decoding: bytes[offset..<offset + 4], as: UTF8.self), radix: 16)
        else { throw malformed("four hexadecimal digits are missing") }
        offset += 4
        return unit
    }

    private mutating func number() throws(JSONValue.Malformed) -> JSONValue {
        let start = offset
        while offset < bytes.count, "+-.0123456789eE".utf8.contains(bytes[offset]) { offset += 1 }
        let digits = String(decoding: bytes[start..<offset], as: UTF8.self)
        guard Double(digits) != nil, digits.first != "+", digits.first != "." else {
            throw malformed("a value is missing")
        }
        return .number(digits)
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONValue.Malformed) -> JSONValue {
        let expected = Array(word.description.utf8)
        guard bytes[offset...].starts(with: expected) else { throw malformed("a value is missing") }
        offset += expected.count
        return value
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func skipSpace() {
        while offset < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[offset]) { offset += 1 }
    }

    private func malformed(_ detail: String) -> JSONValue.Malformed {
        JSONValue.Malformed(offset: offset, detail: detail)
    }
}
