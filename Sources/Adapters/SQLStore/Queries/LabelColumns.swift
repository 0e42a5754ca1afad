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
    static let select = "SELECT id, name, placement_host, labels, anti_affinity FROM vm"

    /// nil where no row can meet it.
    static func condition(_ labels: Labels, _ rules: PlacementRules) -> SQLCondition? {
        let wanted = rules.affinity.pairs + rules.antiAffinity.pairs
        let conditions =
            wanted.map { SQLCondition.label($0, in: "labels") }
            + labels.pairs.map { SQLCondition.label($0, in: "anti_affinity") }
        guard !conditions.isEmpty else { return nil }
        return SQLCondition(
            "placement_host IS NOT NULL AND (" + conditions.map(\.sql).joined(separator: " OR ") + ")",
            conditions.flatMap(\.arguments))
    }

    static func record(_ row: SQLRow) throws -> Neighbour {
        let read = RowReader("VM", row)
        return Neighbour(
            vm: try read.id("id"), name: try read.text("name"), host: try read.id("placement_host"),
            labels: try read.labels("labels"), antiAffinity: try read.labels("anti_affinity"))
    }
}

extension SQLTransaction {
    func neighbours(concerning labels: Labels, _ rules: PlacementRules) throws -> [Neighbour] {
        guard let condition = NeighbourRows.condition(labels, rules) else { return [] }
        return try sql.query(
            "\(NeighbourRows.select) WHERE \(condition.sql) ORDER BY created_at, id", condition.arguments
        ).map(NeighbourRows.record)
    }
}
