import ControlPlane
import Domain

extension BodyField<Labels> {
    /// Labels of a new resource, or those that a rule names. `path` is what a fault calls the field.
    static func labels(_ name: String, path: String? = nil, _ summary: String) -> BodyField<Labels> {
        BodyField(
            name: name, summary: summary, isRequired: false,
            schema: LabelSchema.schema(of: "string"),
            expectation: "must be an object with a text for each key",
            read: { value in
                guard let values = LabelSchema.texts(value) else { return nil }
                return try Labels(values, field: path ?? name)
            })
    }
}

extension BodyField<LabelPatch> {
    /// A JSON merge patch of labels: null removes a key, or all of them where it stands for the whole object.
    static let labelPatch = BodyField(
        name: "labels", summary: "The labels to set; null removes one.", isRequired: false,
        schema: LabelSchema.schema(of: ["string", "null"]),
        expectation: "must be an object with a text or null for each key",
        read: { value in
            guard case .object(let members) = value else { return nil }
            var changes: [String: String?] = [:]
            for member in members {
                switch member.value {
                case .string(let text): changes.updateValue(text, forKey: member.name)
                case .null: changes.updateValue(nil, forKey: member.name)
                case .bool, .number, .array, .object: return nil
                }
            }
            return LabelPatch(changes: changes)
        })
}

extension BodyField<PlacementRules> {
    static func placementRules(_ name: String) -> BodyField<PlacementRules> {
        let parts = [
            BodyField<Labels>.labels("hostLabels", path: "\(name).hostLabels", "Labels that the host must have."),
            .labels(
                "affinity", path: "\(name).affinity",
                "While other VMs with the label are placed, only hosts that hold one of them will do."),
            .labels(
                "antiAffinity", path: "\(name).antiAffinity",
                "A host that holds another VM with the label will not do, nor may such a VM join this one."),
        ]
        return BodyField(
            name: name, summary: "What the VM asks of the host that it is placed on.", isRequired: false,
            schema: [
                "type": "object",
                "properties": .object(
                    parts.map { part in
                        let summary = JSONValue.Member("description", .string(part.summary))
                        return JSONValue.Member(part.name, .object(part.schema.members + [summary]))
                    }), "additionalProperties": false,
            ], expectation: "must be an object with \(parts.map(\.name).joined(separator: ", "))",
            read: { value in
                guard case .object(let members) = value else { return nil }
                var found: [String: Labels] = [:]
                for member in members {
                    let path = "\(name).\(member.name.prefix(64))"
                    guard let part = parts.first(where: { $0.name == member.name }) else {
                        throw Fault.invalid(
                            path, "is not a field of this request.",
                            hint: "There are \(parts.map(\.name).joined(separator: ", ")).")
                    }
                    guard member.value != .null else { continue }
                    guard let labels = try part.read(member.value) else {
                        throw Fault.invalid(path, "\(part.expectation).")
                    }
                    found[part.name] = labels
                }
                return PlacementRules(
                    hostLabels: found["hostLabels"] ?? .none, affinity: found["affinity"] ?? .none,
                    antiAffinity: found["antiAffinity"] ?? .none)
            })
    }
}

extension JSONBody {
    /// The labels' change; a null for all of them removes all, as RFC 7396 has it. Absent: nothing changes.
    func labelPatch() throws(Fault) -> LabelPatch {
        if isNull(BodyField<LabelPatch>.labelPatch.name) { return .removeAll }
        return try optional(.labelPatch) ?? LabelPatch(changes: [:])
    }
}

extension QueryField<String> {
    /// A filter by label; what is wrong with the labels is for the list to say.
    static func label(_ what: String) -> QueryField<String> {
        .text("label", upTo: 2000, "Only \(what) with the label `key=value`; of several with commas between, all.")
    }
}

private enum LabelSchema {
    static func schema(of type: JSONValue) -> JSONValue {
        ["type": "object", "maxProperties": .integer(Labels.countMax), "additionalProperties": ["type": type]]
    }

    /// The members of an object that has texts only.
    static func texts(_ value: JSONValue) -> [String: String]? {
        guard case .object(let members) = value else { return nil }
        var texts: [String: String] = [:]
        for member in members {
            guard let text = member.value.text else { return nil }
            texts[member.name] = text
        }
        return texts
    }
}
