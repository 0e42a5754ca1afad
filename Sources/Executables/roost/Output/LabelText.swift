import APIContract

enum LabelText {
    /// `a=1, b=2`, in order of the keys.
    static func line(_ labels: [String: String], empty: String = "") -> String {
        labels.isEmpty
            ? empty : labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
    }
}

extension PlacementRulesResource {
    /// A line for each kind of rule that there is.
    var facts: [(name: String, value: String)] {
        [("host labels", hostLabels), ("affinity", affinity), ("anti-affinity", antiAffinity)]
            .filter { !$0.1.isEmpty }.map { (name: $0.0, value: LabelText.line($0.1)) }
    }
}
