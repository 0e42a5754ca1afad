import ControlPlane
import Domain

/// Labels as a column holds them: a JSON object with sorted keys, `{"app":"web","zone":"a"}`.
///
/// No character of a label needs an escape in JSON, so that a label is in a column exactly if its text is there.
extension SQLValue {
    init(_ labels: Labels) {
        self = .text("{" + labels.pairs.map(SQLValue.member).joined(separator: ",") + "}")
    }

    fileprivate static func member(_ label: (key: String, value: String)) -> String {
        "\"\(label.key)\":\"\(label.value)\""
    }
}

extension SQLCondition {
    /// The label is in `column`. A key can follow only `{` or `,`, and a value only `:`, so the text is never found askew.
    /// `REPLACE`, unlike `LIKE`, minds the case and knows no wildcards, in both databases.
    static func label(_ label: (key: String, value: String), in column: String) -> SQLCondition {
        SQLCondition("REPLACE(\(column), ?, '') <> \(column)", [.text(SQLValue.member(label))])
    }
}

extension ListFilter {
    /// `key=value`, several with commas between: all of them must hold.
    static func labels(_ column: String) -> ListFilter {
        ListFilter { field, value, _ in
            let conditions = try Labels(parsing: value, field: field).pairs.map {
                SQLCondition.label($0, in: column)
            }
            return SQLCondition(
                "(" + conditions.map(\.sql).joined(separator: " AND ") + ")", conditions.flatMap(\.arguments))
        }
    }
}

extension RowReader {
    func labels(_ column: String) throws -> Labels {
        // By far the most rows have none.
        if case .text("{}") = row[column] { return .none }
        return try json(column)
    }
}

/// Rows of `vm` as the rules of another VM see them.
enum NeighbourRows {
    /// A VM that moves is a neighbour at both ends.
    static let hosts = ["placement_host", "destination_host"]

    static func select(_ host: String) -> String {
        "SELECT id, name, \(host) AS host, labels, anti_affinity FROM vm WHERE \(host) IS NOT NULL"
    }

    /// nil where no row can meet it.
    static func condition(_ labels: Labels, _ rules: PlacementRules) -> SQLCondition? {
        let wanted = rules.affinity.pairs + rules.antiAffinity.pairs
        let conditions =
            wanted.map { SQLCondition.label($0, in: "labels") }
            + labels.pairs.map { SQLCondition.label($0, in: "anti_affinity") }
        guard !conditions.isEmpty else { return nil }
        return SQLCondition(
            "(" + conditions.map(\.sql).joined(separator: " OR ") + ")", conditions.flatMap(\.arguments))
    }

    static func record(_ row: SQLRow) throws -> Neighbour {
        let read = RowReader("VM", row)
        return Neighbour(
            vm: try read.id("id"), name: try read.text("name"), host: try read.id("host"),
            labels: try read.labels("labels"), antiAffinity: try read.labels("anti_affinity"))
    }
}

extension SQLTransaction {
    func neighbours(concerning labels: Labels, _ rules: PlacementRules) throws -> [Neighbour] {
        guard let condition = NeighbourRows.condition(labels, rules) else { return [] }
        return try NeighbourRows.hosts.flatMap { host in
            try records.query(
                "\(NeighbourRows.select(host)) AND \(condition.sql) ORDER BY created_at, id", condition.arguments
            ).map(NeighbourRows.record)
        }
    }
}
