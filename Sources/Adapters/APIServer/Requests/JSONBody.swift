package import Domain

/// The fields that a request's body may have.
package struct BodyShape: Sendable {
    /// The name of the schema in the API's document.
    package let name: String
    package let fields: [any BodyFieldDescription]

    package init(_ name: String, _ fields: [any BodyFieldDescription]) {
        self.name = name
        self.fields = fields
    }

    /// Nothing to say; an empty body will do.
    static let empty = BodyShape("EmptyRequest", [])

    /// Whether the body may be left out altogether.
    var isOptional: Bool { !fields.contains { $0.isRequired } }
}

/// A request's JSON body, read strictly: whatever the shape does not name is refused.
package struct JSONBody: Sendable {
    private let members: [String: JSONValue]

    /// Refuses what is no JSON object and fields that `shape` does not have. No bytes at all are an empty object where
    /// no field is required.
    package init(_ bytes: [UInt8], shape: BodyShape) throws(Fault) {
        if bytes.isEmpty && shape.isOptional {
            members = [:]
            return
        }
        guard !bytes.isEmpty else {
            throw Fault(.invalid, .invalidBody, "The request has no body.", hint: "Send a JSON object.")
        }
        let value: JSONValue
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw Fault(
                .invalid, .invalidBody, "The body is not valid JSON: \(error.reason), at byte \(error.offset).")
        }
        guard case .object(let found) = value else {
            throw Fault(.invalid, .invalidBody, "The body must be a JSON object.")
        }
        let known = shape.fields.map(\.name)
        for member in found where !known.contains(member.name) {
            throw .invalid(
                String(member.name.prefix(64)), "is not a field of this request.",
                hint: known.isEmpty ? "It takes no fields." : "It takes \(known.joined(separator: ", ")).")
        }
        members = Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.value) })
    }

    /// Whether the field is there and null.
    func isNull(_ name: String) -> Bool { members[name] == .null }

    package func require<Value>(_ field: BodyField<Value>) throws(Fault) -> Value {
        guard let value = try optional(field) else {
            throw .invalid(field.name, "is required and \(field.expectation).")
        }
        return value
    }

    /// The field's value; nil when it is absent or null.
    package func optional<Value>(_ field: BodyField<Value>) throws(Fault) -> Value? {
        guard let value = members[field.name], value != .null else { return nil }
        do {
            if let read = try field.read(value) { return read }
        } catch {
            throw error as? Fault ?? .invalid(field.name, "\(field.expectation).")
        }
        throw .invalid(field.name, "\(field.expectation).")
    }
}
