/// How a contract type looks as JSON: one table from which both the answers and the API's document are made, so that
/// they cannot disagree.
package struct ResourceShape<Resource: Sendable>: ResourceShapeDescription {
    /// The name of the schema in the API's document.
    package let name: String
    let fields: [ResourceField<Resource>]

    package init(_ name: String, _ fields: [ResourceField<Resource>]) {
        self.name = name
        self.fields = fields
    }

    package func json(_ resource: Resource) -> JSONValue {
        .object(
            fields.compactMap { field in
                let value = field.read(resource)
                return value == nil && field.isLeftOutWhenAbsent ? nil : JSONValue.Member(field.name, value ?? .null)
            })
    }

    package var schema: JSONValue {
        let required = fields.filter { !$0.isLeftOutWhenAbsent }.map { JSONValue.string($0.name) }
        return [
            "type": "object",
            "properties": .object(fields.map { JSONValue.Member($0.name, $0.schema) }),
            "required": .array(required),
        ]
    }

    package var nested: [any ResourceShapeDescription] {
        fields.compactMap(\.nested).flatMap { [$0] + $0.nested }
    }
}

/// A shape, whatever it is the shape of.
package protocol ResourceShapeDescription: Sendable {
    var name: String { get }
    var schema: JSONValue { get }
    /// The shapes that this one refers to.
    var nested: [any ResourceShapeDescription] { get }
}

/// One field of an answer.
package struct ResourceField<Resource: Sendable>: Sendable {
    let name: String
    let schema: JSONValue
    let nested: (any ResourceShapeDescription)?
    /// Absent rather than null where there is no value.
    var isLeftOutWhenAbsent = false
    let read: @Sendable (Resource) -> JSONValue?

    private init(
        _ name: String, _ schema: JSONValue, nested: (any ResourceShapeDescription)? = nil,
        read: @escaping @Sendable (Resource) -> JSONValue?
    ) {
        self.name = name
        self.schema = schema
        self.nested = nested
        self.read = read
    }

    static func text(
        _ name: String, _ summary: String, format: String? = nil, oneOf words: [String] = [],
        _ read: @escaping @Sendable (Resource) -> String
    ) -> Self {
        Self(name, textSchema("string", summary, format, words)) { .string(read($0)) }
    }

    static func optionalText(
        _ name: String, _ summary: String, format: String? = nil, oneOf words: [String] = [],
        _ read: @escaping @Sendable (Resource) -> String?
    ) -> Self {
        Self(name, textSchema(["string", "null"], summary, format, words)) { read($0).map { .string($0) } }
    }

    static func integer(
        _ name: String, _ summary: String, _ read: @escaping @Sendable (Resource) -> Int64
    ) -> Self {
        Self(name, ["type": "integer", "description": .string(summary)]) { .integer(read($0)) }
    }

    static func optionalInteger(
        _ name: String, _ summary: String, _ read: @escaping @Sendable (Resource) -> Int64?
    ) -> Self {
        Self(name, ["type": ["integer", "null"], "description": .string(summary)]) { read($0).map { .integer($0) } }
    }

    static func flag(_ name: String, _ summary: String, _ read: @escaping @Sendable (Resource) -> Bool) -> Self {
        Self(name, ["type": "boolean", "description": .string(summary)]) { .bool(read($0)) }
    }

    static func one<Part>(
        _ name: String, _ shape: ResourceShape<Part>, _ read: @escaping @Sendable (Resource) -> Part
    ) -> Self {
        Self(name, reference(shape), nested: shape) { shape.json(read($0)) }
    }

    static func optionalOne<Part>(
        _ name: String, _ shape: ResourceShape<Part>, _ read: @escaping @Sendable (Resource) -> Part?
    ) -> Self {
        Self(name, ["anyOf": [reference(shape), ["type": "null"]]], nested: shape) { read($0).map(shape.json) }
    }

    static func list<Part>(
        _ name: String, _ shape: ResourceShape<Part>, _ read: @escaping @Sendable (Resource) -> [Part]
    ) -> Self {
        Self(name, ["type": "array", "items": reference(shape)], nested: shape) {
            .array(read($0).map(shape.json))
        }
    }

    static func texts(_ name: String, _ summary: String, _ read: @escaping @Sendable (Resource) -> [String]) -> Self {
        Self(name, ["type": "array", "items": ["type": "string"], "description": .string(summary)]) {
            .array(read($0).map { .string($0) })
        }
    }

    static func optionalTexts(
        _ name: String, _ summary: String, _ read: @escaping @Sendable (Resource) -> [String]?
    ) -> Self {
        Self(
            name, ["type": ["array", "null"], "items": ["type": "string"], "description": .string(summary)]
        ) { resource in read(resource).map { .array($0.map { .string($0) }) } }
    }

    static func labels(
        _ name: String, _ summary: String, _ read: @escaping @Sendable (Resource) -> [String: String]
    ) -> Self {
        Self(
            name,
            ["type": "object", "additionalProperties": ["type": "string"], "description": .string(summary)]
        ) { resource in
            .object(read(resource).sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, .string($0.value)) })
        }
    }

    /// The same field, absent rather than null where there is no value.
    var leftOutWhenAbsent: Self {
        var field = self
        field.isLeftOutWhenAbsent = true
        return field
    }

    private static func reference(_ shape: any ResourceShapeDescription) -> JSONValue {
        ["$ref": .string("#/components/schemas/\(shape.name)")]
    }

    private static func textSchema(
        _ type: JSONValue, _ summary: String, _ format: String?, _ words: [String]
    ) -> JSONValue {
        var members = [JSONValue.Member("type", type), JSONValue.Member("description", .string(summary))]
        if let format { members.append(JSONValue.Member("format", .string(format))) }
        if !words.isEmpty {
            let isNullable = type.text == nil
            members.append(
                JSONValue.Member("enum", .array(words.map { .string($0) } + (isNullable ? [.null] : []))))
        }
        return .object(members)
    }
}
