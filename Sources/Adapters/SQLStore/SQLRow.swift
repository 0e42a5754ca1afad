import ControlPlane
import Domain

/// One row of a query's result.
struct SQLRow: Sendable {
    /// Column name to position; shared by all rows of a result.
    let columns: [String: Int]
    let values: [SQLValue]

    subscript(column: String) -> SQLValue? { columns[column].map { values[$0] } }
}

/// Reads a row's columns as the domain's values, and refuses what they cannot be, naming the row.
struct RowReader {
    /// What a row of this table is called in an error, for example `VM`.
    let noun: String
    /// The column that identifies the row.
    let key: String
    let row: SQLRow

    init(_ noun: String, key: String = "id", _ row: SQLRow) {
        self.noun = noun
        self.key = key
        self.row = row
    }

    func optionalText(_ column: String) throws -> String? {
        switch row[column] {
        case .text(let text): text
        case .null: nil
        case .integer, .real, .blob, nil: throw impossible("\(column) is not text")
        }
    }

    func text(_ column: String) throws -> String {
        guard let text = try optionalText(column) else { throw impossible("\(column) is missing") }
        return text
    }

    func optionalInteger(_ column: String) throws -> Int64? {
        switch row[column] {
        case .integer(let number): number
        case .null: nil
        case .text, .real, .blob, nil: throw impossible("\(column) is not a whole number")
        }
    }

    func integer(_ column: String) throws -> Int64 {
        guard let number = try optionalInteger(column) else { throw impossible("\(column) is missing") }
        return number
    }

    func int(_ column: String) throws -> Int { Int(try integer(column)) }

    func flag(_ column: String) throws -> Bool {
        switch try integer(column) {
        case 0: false
        case 1: true
        default: throw impossible("\(column) is neither 0 nor 1")
        }
    }

    func time(_ column: String) throws -> Timestamp { Timestamp(milliseconds: try integer(column)) }

    func optionalTime(_ column: String) throws -> Timestamp? {
        try optionalInteger(column).map(Timestamp.init(milliseconds:))
    }

    func epoch(_ column: String) throws -> Epoch { Epoch(try integer(column)) }

    func optionalID<ID: Identifier>(_ column: String) throws -> ID? {
        guard let text = try optionalText(column) else { return nil }
        guard let id = ID(text) else { throw impossible("\(column) is not an id") }
        return id
    }

    func id<ID: Identifier>(_ column: String) throws -> ID {
        guard let id: ID = try optionalID(column) else { throw impossible("\(column) is missing") }
        return id
    }

    func optionalLabel<Label: RawRepresentable<String>>(_ column: String) throws -> Label? {
        guard let text = try optionalText(column) else { return nil }
        guard let label = Label(rawValue: text) else { throw impossible("\(column) has the unknown value '\(text)'") }
        return label
    }

    func label<Label: RawRepresentable<String>>(_ column: String) throws -> Label {
        guard let label: Label = try optionalLabel(column) else { throw impossible("\(column) is missing") }
        return label
    }

    func optionalJSON<Value: Decodable>(_ column: String) throws -> Value? {
        guard let text = try optionalText(column) else { return nil }
        guard let value = JSONText.decode(Value.self, from: text) else { throw impossible("\(column) cannot be read") }
        return value
    }

    func json<Value: Decodable>(_ column: String) throws -> Value {
        guard let value: Value = try optionalJSON(column) else { throw impossible("\(column) is missing") }
        return value
    }

    /// The fault of a row that no release of Roost writes.
    func impossible(_ reason: String) -> Fault {
        let name: String
        switch row[key] {
        case .text(let text): name = text
        case .integer(let number): name = String(number)
        case .null, .real, .blob, nil: name = "without \(key)"
        }
        return Fault(
            .bug, .internalError, "The database's record of \(noun) '\(name)' makes no sense: \(reason).",
            hint: "It was changed by something other than Roost, or is damaged: restore the database from a backup.")
    }
}
