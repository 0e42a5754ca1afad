import ControlPlane
import Domain

/// One field of a request's body: how it is read, what is said when it is wrong, and how the API's document shows it.
package struct BodyField<Value: Sendable>: BodyFieldDescription {
    package let name: String
    package let summary: String
    package let isRequired: Bool
    package let schema: JSONValue
    /// Goes on after the field's name, for example `must be true or false`.
    let expectation: String
    /// nil: not what is expected. Throws where there is more to say than that.
    let read: @Sendable (JSONValue) throws -> Value?
}

/// A field, whatever its type.
package protocol BodyFieldDescription: Sendable {
    var name: String { get }
    var summary: String { get }
    var isRequired: Bool { get }
    var schema: JSONValue { get }
}

extension BodyField<Int> {
    static func integer(
        _ name: String, in range: ClosedRange<Int>, of unit: String? = nil, isRequired: Bool = false, _ summary: String
    ) -> BodyField<Int> {
        let amount = unit.map { "whole number of \($0)" } ?? "whole number"
        return BodyField(
            name: name, summary: summary, isRequired: isRequired,
            schema: ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)],
            expectation: "must be a \(amount) from \(range.lowerBound) to \(range.upperBound)",
            read: { value in value.integerValue.map(Int.init).flatMap { range.contains($0) ? $0 : nil } })
    }
}

extension BodyField<Bool> {
    static func flag(_ name: String, _ summary: String) -> BodyField<Bool> {
        BodyField(
            name: name, summary: summary, isRequired: false, schema: ["type": "boolean"],
            expectation: "must be true or false",
            read: { value in
                guard case .bool(let flag) = value else { return nil }
                return flag
            })
    }
}

extension BodyField<String> {
    /// A new resource's name.
    static func name(_ name: String, isRequired: Bool = true, _ summary: String) -> BodyField<String> {
        BodyField(
            name: name, summary: summary, isRequired: isRequired,
            schema: [
                "type": "string", "minLength": 1, "maxLength": .integer(Name.longest),
                "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            ],
            expectation: "must be a name",
            read: { value in try value.text.map { try Name.checked($0, field: name) } })
    }

    /// The id or the name of a resource that exists.
    static func reference(_ name: String, isRequired: Bool = false, _ summary: String) -> BodyField<String> {
        BodyField(
            name: name, summary: summary, isRequired: isRequired,
            schema: ["type": "string", "minLength": 1, "maxLength": .integer(Name.longest)],
            expectation: "must be an id or a name",
            read: { value in
                value.text.flatMap { (1...Name.longest).contains($0.utf8.count) && $0.isPrintable ? $0 : nil }
            })
    }

    /// Words for people or for a kernel; no control characters.
    static func text(
        _ name: String, upTo lengthMax: Int, isRequired: Bool = false, _ summary: String
    ) -> BodyField<String> {
        let lengthMin = isRequired ? 1 : 0
        return BodyField(
            name: name, summary: summary, isRequired: isRequired,
            schema: ["type": "string", "minLength": .integer(lengthMin), "maxLength": .integer(lengthMax)],
            expectation: "must be a text of \(lengthMin) to \(lengthMax) characters without control characters",
            read: { value in
                guard let text = value.text, (lengthMin...lengthMax).contains(text.unicodeScalars.count) else {
                    return nil
                }
                return text.isPrintable ? text : nil
            })
    }

    static func identifier(_ name: String, _ summary: String) -> BodyField<String> {
        BodyField(
            name: name, summary: summary, isRequired: false, schema: ["type": "string", "format": "uuid"],
            expectation: "must be an id (a UUID in lower-case letters)",
            read: { value in value.text.flatMap { isCanonicalUUID($0) ? $0 : nil } })
    }
}

extension BodyField where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
    static func choice(_ name: String, isRequired: Bool = false, _ summary: String) -> BodyField<Value> {
        let words = Value.allCases.map(\.rawValue)
        return BodyField(
            name: name, summary: summary, isRequired: isRequired,
            schema: ["type": "string", "enum": .array(words.map { .string($0) })],
            expectation: "must be one of \(words.joined(separator: ", "))",
            read: { value in value.text.flatMap(Value.init(rawValue:)) })
    }
}

extension String {
    /// Whether it has no control characters.
    fileprivate var isPrintable: Bool {
        unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }
}
