import Domain
import Foundation
import GRDB
import Logging

/// GRDB's connection as the queries see it. Valid only inside the block that GRDB passed it to.
struct SQLiteConnection: SQLConnection {
    let database: GRDB.Database
    let logger: Logger
    /// Inside a read: a statement that writes is a defect of the body, not of the disk.
    var isReadOnly = false

    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int {
        try reportingFaults {
            let statement = try database.cachedStatement(sql: sql)
            try statement.execute(arguments: StatementArguments(arguments.map(\.databaseValue)))
            return database.changesCount
        }
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [SQLRow] {
        try reportingFaults {
            let statement = try database.cachedStatement(sql: sql)
            let cursor = try Row.fetchCursor(
                statement, arguments: StatementArguments(arguments.map(\.databaseValue)))
            let names = statement.columnNames
            let columns = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
            var rows: [SQLRow] = []
            while let row = try cursor.next() {
                rows.append(SQLRow(columns: columns, values: names.indices.map { SQLValue(row[$0] as DatabaseValue) }))
            }
            return rows
        }
    }

    private func reportingFaults<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as DatabaseError {
            switch error.extendedResultCode {
            case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY: throw UniqueViolation()
            case .SQLITE_READONLY where isReadOnly: throw StoreFault.writeInRead
            default: throw SQLiteFault.fault(of: error, logger)
            }
        }
    }
}

extension SQLValue {
    init(_ value: DatabaseValue) {
        switch value.storage {
        case .null: self = .null
        case .int64(let number): self = .integer(number)
        case .double(let number): self = .real(number)
        case .string(let text): self = .text(text)
        case .blob(let data): self = .blob([UInt8](data))
        }
    }

    var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .text(let text): text.databaseValue
        case .real(let number): number.databaseValue
        case .blob(let bytes): Data(bytes).databaseValue
        }
    }
}
