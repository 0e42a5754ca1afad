import APIContract
import ArgumentParser

/// `key=value`; the rules for both are the server's.
struct LabelArgument: ExpressibleByArgument, Hashable {
    let key: String
    let value: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else { return nil }
        key = String(parts[0])
        value = String(parts[1])
    }
}

/// `key=value` sets a label, `key-` removes it.
struct LabelChange: ExpressibleByArgument, Hashable {
    let key: String
    let value: String?

    init?(argument: String) {
        if let label = LabelArgument(argument: argument) {
            key = label.key
            value = label.value
        } else if argument.count > 1, argument.hasSuffix("-"), !argument.contains("=") {
            key = String(argument.dropLast())
            value = nil
        } else {
            return nil
        }
    }
}

/// What `label` takes besides the resource.
struct LabelChanges: ParsableArguments {
    @Argument(help: "key=value sets a label, key- removes it.") var changes: [LabelChange]

    func validate() throws { _ = try LabelMap.one(changes.map { ($0.key, $0.value) }, "the labels") }

    var map: [String: String?] {
        Dictionary(changes.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}

/// Filters a list by label.
struct LabelFilter: ParsableArguments {
    @Option(name: .customLong("label"), help: "Only those with this label (key=value); may be repeated.")
    var labels: [LabelArgument] = []

    /// As the API takes it; nil without a filter.
    var query: String? { labels.isEmpty ? nil : labels.map { "\($0.key)=\($0.value)" }.joined(separator: ",") }
}

/// What a new VM asks of its host, and what is said of it.
struct PlacementOptions: ParsableArguments {
    @Option(name: .customLong("label"), help: "A label of the VM (key=value); may be repeated.")
    var labels: [LabelArgument] = []

    @Option(name: .customLong("host-label"), help: "Only hosts with this label (key=value); may be repeated.")
    var hostLabels: [LabelArgument] = []

    @Option(
        help: "While VMs with this label (key=value) are placed, only hosts that hold one of them; may be repeated.")
    var affinity: [LabelArgument] = []

    @Option(
        name: .customLong("anti-affinity"),
        help: "No host that holds a VM with this label (key=value); may be repeated.")
    var antiAffinity: [LabelArgument] = []

    func validate() throws {
        for (option, labels) in [
            ("--label", labels), ("--host-label", hostLabels), ("--affinity", affinity),
            ("--anti-affinity", antiAffinity),
        ] {
            _ = try LabelMap.one(labels.map { ($0.key, $0.value) }, option)
        }
    }

    var labelMap: [String: String]? { labels.isEmpty ? nil : LabelMap.any(labels) }

    /// nil without a rule.
    var rules: PlacementRulesResource? {
        guard !(hostLabels.isEmpty && affinity.isEmpty && antiAffinity.isEmpty) else { return nil }
        return PlacementRulesResource(
            hostLabels: LabelMap.any(hostLabels), affinity: LabelMap.any(affinity),
            antiAffinity: LabelMap.any(antiAffinity))
    }
}

private enum LabelMap {
    /// Refuses a key that is there twice: one of its values would be lost.
    static func one<Value>(_ pairs: [(String, Value)], _ where: String) throws -> [String: Value] {
        var map: [String: Value] = [:]
        for (key, value) in pairs {
            guard map.updateValue(value, forKey: key) == nil else {
                throw ValidationError("\(`where`): the key '\(key)' is there twice.")
            }
        }
        return map
    }

    static func any(_ labels: [LabelArgument]) -> [String: String] {
        Dictionary(labels.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}
