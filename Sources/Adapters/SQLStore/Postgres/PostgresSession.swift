import Domain
import Logging

/// One connection to PostgreSQL that is made again when it is lost, as the store's drivers use it.
///
/// Confined to one serial queue. Statements of a transaction whose connection is lost fail with `TransactionLost`.
final class PostgresSession {
    private let url: String
    private let logger: Logger
    private(set) var connection: PostgresConnection?

    /// What every connection is told once. A node that is frozen inside a transaction must not keep the others waiting:
    /// the server ends its connection then, and with it the transaction.
    private static let settings = [
        "SET idle_in_transaction_session_timeout = 4000", "SET statement_timeout = 60000",
        // Durable means on disk, whatever the server's default is; what is stricter than that stays.
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    ]

    /// What a connection that writes is told besides. Its statements look few rows up, by their indexes; the planner must not
    /// think otherwise while its figures are older than the latest thousands of rows.
    private static let writerSettings = [
        "SET random_page_cost = 1.1", "SET enable_hashjoin = off", "SET enable_mergejoin = off", "SET jit = off",
    ]

    private let own: [String]

    init(url: String, isWriter: Bool = false, logger: Logger) {
        self.url = url
        self.logger = logger
        own = Self.settings + (isWriter ? Self.writerSettings : [])
    }

    /// The connection, a new one if there is none or it was lost.
    func connected() throws(PostgresError) -> PostgresConnection {
        if let connection, !connection.isLost { return connection }
        connection = nil
        let new = try PostgresConnection(url: url)
        for setting in own { _ = try new.ask(setting) }
        connection = new
        return new
    }

    func close() { connection = nil }

    /// Ends the transaction that is open, if there is one; a connection on which that fails is given up.
    func rollBack() {
        guard let connection else { return }
        connection.dropQueue()
        do { _ = try connection.ask("ROLLBACK") } catch { self.connection = nil }
    }

    func lost(_ error: PostgresError) -> TransactionLost {
        TransactionLost(fault: error.fault(logger), isPassing: error.isPassing)
    }
}

/// A session's connection as the queries see it, inside a transaction.
struct PostgresStatements: SQLConnection {
    let connection: PostgresConnection
    let logger: Logger
    /// Inside a read: a statement that writes is a defect of the body.
    var isReadOnly = false

    func execute(_ sql: String, _ arguments: [SQLValue]) throws -> Int { try ask(sql, arguments).count }

    func query(_ sql: String, _ arguments: [SQLValue]) throws -> [SQLRow] { try ask(sql, arguments).rows }

    func perform(_ sql: String, _ arguments: [SQLValue]) throws {
        try reportingFaults { () throws(PostgresError) in
            connection.enqueue(try PostgresConnection.Statement(sql, arguments))
        }
    }

    private func ask(_ sql: String, _ arguments: [SQLValue]) throws -> PostgresConnection.Answer {
        try reportingFaults { () throws(PostgresError) in
            try connection.ask(try PostgresConnection.Statement(sql, arguments))
        }
    }

    private func reportingFaults<Result>(_ body: () throws(PostgresError) -> Result) throws -> Result {
        do { return try body() } catch {
            if error.state == "23505" { throw UniqueViolation() }
            if isReadOnly, error.state == "25006" { throw StoreFault.writeInRead }
            let fault = error.fault(logger)
            if error.isPassing || connection.isLost { throw TransactionLost(fault: fault, isPassing: error.isPassing) }
            throw fault
        }
    }
}
