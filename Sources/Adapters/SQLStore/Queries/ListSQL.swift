import ControlPlane
import Domain

/// A part of a `WHERE` clause with its arguments.
struct SQLCondition: Sendable {
    let sql: String
    let arguments: [SQLValue]

    init(_ sql: String, _ arguments: [SQLValue] = []) {
        self.sql = sql
        self.arguments = arguments
    }
}

/// How one field of a list is filtered. The column comes from here, and only the value from the caller.
struct ListFilter: Sendable {
    /// `field` is the filter's name, for the fault of a value that cannot be; the query has the other filters.
    let condition: @Sendable (_ field: String, _ value: String, _ query: ListQuery) throws -> SQLCondition

    static func text(_ column: String) -> ListFilter {
        ListFilter { _, value, _ in SQLCondition("\(column) = ?", [.text(value)]) }
    }

    /// A value out of `labels`.
    static func label(_ column: String, _ labels: [String]) -> ListFilter {
        ListFilter { field, value, _ in
            guard labels.contains(value) else { throw unknownValue(field, value, known: labels) }
            return SQLCondition("\(column) = ?", [.text(value)])
        }
    }

    /// Another resource, by its id or by the name of one for which `isNamed` holds.
    static func reference(_ column: String, to table: String, where isNamed: String = "1 = 1") -> ListFilter {
        ListFilter { _, value, _ in
            // One set, so that the column's index is used: an `OR` makes the planner read the whole table.
            SQLCondition(
                "\(column) IN (SELECT ? UNION ALL SELECT id FROM \(table) WHERE name = ? AND \(isNamed))",
                [.text(value), .text(value)])
        }
    }

    static func unknownValue(_ field: String, _ value: String, known: [String]) -> Fault {
        Fault.invalid(
            field, "'\(value)' is not one of its values.", hint: "It is one of \(known.joined(separator: ", ")).")
    }
}

/// A column by which a list can be sorted.
enum ListSort: Sendable {
    case text(String)
    case time(String)

    var column: String {
        switch self {
        case .text(let column), .time(let column): column
        }
    }

    /// The cursor's text as the column's value, or nil if it is none.
    func value(_ text: String) -> SQLValue? {
        switch self {
        case .text: .text(text)
        case .time: Int64(text).map(SQLValue.integer)
        }
    }
}

/// The list of one resource: which filters and orders it has, and how a page of it is read.
///
/// Pages are cut by the values of the last item (sort column, then id), so that a row that comes or goes meanwhile
/// neither repeats nor hides another.
struct ListSQL<Record: Sendable>: Sendable {
    /// What the list is of, in an error: `VMs`.
    let noun: String
    let select: String
    /// A condition that holds for all of the list.
    let always: String?
    let filters: [String: ListFilter]
    let sorts: [String: ListSort]
    let record: @Sendable (SQLRow) throws -> Record

    init(
        noun: String, select: String, always: String? = nil, filters: [String: ListFilter], sorts: [String: ListSort],
        record: @escaping @Sendable (SQLRow) throws -> Record
    ) {
        self.noun = noun
        self.select = select
        self.always = always
        self.filters = filters
        self.sorts = sorts
        self.record = record
    }

    func page(_ query: ListQuery, on sql: any SQLConnection) throws -> ListPage<Record> {
        guard query.limit >= 1 else { throw Fault.invalid("limit", "It must be at least 1.") }
        guard let sort = sorts[query.sort] else {
            throw Fault.invalid(
                "sort", "The \(noun) cannot be sorted by '\(query.sort)'.",
                hint: "Sort by one of \(sorts.keys.sorted().joined(separator: ", ")).")
        }
        var conditions = always.map { [SQLCondition($0)] } ?? []
        conditions += try filterConditions(query)
        if let after = query.after { conditions.append(try position(after, sort, descending: query.descending)) }
        let direction = query.descending ? "DESC" : "ASC"
        var statement = select
        if !conditions.isEmpty { statement += " WHERE \(conditions.map(\.sql).joined(separator: " AND "))" }
        statement += " ORDER BY \(sort.column) \(direction), id \(direction) LIMIT ?"

        // One more than asked for tells whether there is a next page.
        let (limit, overflow) = query.limit.addingReportingOverflow(1)
        let arguments = conditions.flatMap(\.arguments) + [SQLValue(overflow ? Int.max : limit)]
        let rows = try sql.query(statement, arguments)
        let shown = rows.prefix(query.limit)
        let next = rows.count > query.limit ? try shown.last.map { try cursor($0, sort) } : nil
        return ListPage(items: try shown.map(record), next: next)
    }

    private func filterConditions(_ query: ListQuery) throws -> [SQLCondition] {
        // In one order, so that the same filters are the same statement.
        try query.filters.sorted { $0.key < $1.key }.map { field, value in
            guard let filter = filters[field] else {
                throw Fault.invalid(
                    field, "The \(noun) cannot be filtered by it.",
                    hint: "Filter by one of \(filters.keys.sorted().joined(separator: ", ")).")
            }
            return try filter.condition(field, value, query)
        }
    }

    private func position(_ after: ListQuery.Cursor, _ sort: ListSort, descending: Bool) throws -> SQLCondition {
        guard let value = sort.value(after.value) else {
            throw Fault.invalid(
                "cursor", "It does not fit this list.", hint: "Use the cursor of the previous page, with the same sort."
            )
        }
        return SQLCondition("(\(sort.column), id) \(descending ? "<" : ">") (?, ?)", [value, .text(after.id)])
    }

    private func cursor(_ row: SQLRow, _ sort: ListSort) throws -> ListQuery.Cursor {
        let read = RowReader(noun, row)
        let value =
            switch sort {
            case .text(let column): try read.text(column)
            case .time(let column): String(try read.integer(column))
            }
        return ListQuery.Cursor(value: value, id: try read.text("id"))
    }
}
