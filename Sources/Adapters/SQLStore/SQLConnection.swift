/// One database connection inside a transaction: what the queries need of a driver.
///
/// The SQL is portable, with `?` for each argument in order. Failures come as `Fault`, but for `UniqueViolation`, whose
/// meaning a query may know.
protocol SQLConnection {
    /// Returns the number of rows inserted, updated or deleted.
    @discardableResult
    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int
    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [SQLRow]
    /// A statement whose count is not wanted. A driver may carry it out together with the next one; its failure is then met
    /// there, or at the commit.
    func perform(_ sql: String, _ arguments: [SQLValue]) throws
}

extension SQLConnection {
    @discardableResult
    func execute(_ sql: String, _ arguments: SQLValue...) throws -> Int { try execute(sql, arguments) }

    func query(_ sql: String, _ arguments: SQLValue...) throws -> [SQLRow] { try query(sql, arguments) }

    func perform(_ sql: String, _ arguments: [SQLValue]) throws { try execute(sql, arguments) }
}

/// A statement would have stored a second row where the schema allows one.
struct UniqueViolation: Error {}
