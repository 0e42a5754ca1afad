import CLibpq
import Domain

/// One connection to PostgreSQL, used by one thread at a time.
///
/// It stays in libpq's pipeline mode: statements that need no answer of their own travel with the next one that does, so
/// that a round trip is paid for results only. Statements are prepared at their first use and kept by their text.
final class PostgresConnection {
    struct Statement {
        let sql: String
        /// As PostgreSQL reads them; nil for null.
        let arguments: [String?]
        /// Whether it opens a savepoint: what is queued from here on can be dropped without asking the server.
        let isSavepoint: Bool

        /// Throws when an argument is none that PostgreSQL can hold.
        init(_ sql: String, _ arguments: [SQLValue]) throws(PostgresError) {
            self.sql = sql
            self.arguments = try arguments.map { value throws(PostgresError) in try PostgresConnection.text(of: value) }
            isSavepoint = false
        }

        init(_ sql: String, isSavepoint: Bool = false) {
            self.sql = sql
            arguments = []
            self.isSavepoint = isSavepoint
        }
    }

    /// What the server answered to one statement.
    struct Answer {
        var rows: [SQLRow] = []
        var count = 0
        /// The command as the server carried it out: a failed transaction's `COMMIT` is answered with `ROLLBACK`.
        var tag = ""
    }

    private struct Prepared {
        let name: String
        /// Column name to position, once it is known.
        var columns: [String: Int]?
    }

    private let handle: OpaquePointer
    private var prepared: [String: Prepared] = [:]
    private var lastName = 0
    private var queue: [Statement] = []
    /// The statements of lists vary with their filters; beyond this many the oldest way of asking is good enough.
    private static let preparedMax = 400

    /// Connects, or throws what stood in the way. The settings of `url` win over those that are given here.
    init(url: String) throws(PostgresError) {
        let settings = [
            ("fallback_application_name", "roostd"), ("connect_timeout", "5"), ("keepalives_idle", "5"),
            ("keepalives_interval", "2"), ("keepalives_count", "3"), ("tcp_user_timeout", "10000"),
            ("client_encoding", "UTF8"), ("dbname", url),
        ]
        let handle = withCStrings(settings.map(\.0)) { keys in
            withCStrings(settings.map(\.1)) { values in PQconnectdbParams(keys, values, 1) }
        }
        guard let handle else { throw PostgresError(state: PostgresError.noMemory, message: "libpq has no memory") }
        guard PQstatus(handle) == CONNECTION_OK else {
            let error = PostgresError(connection: handle)
            PQfinish(handle)
            throw error
        }
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        guard PQenterPipelineMode(handle) == 1 else {
            let error = PostgresError(connection: handle)
            PQfinish(handle)
            throw error
        }
        self.handle = handle
    }

    deinit { PQfinish(handle) }

    /// Whether nothing can be asked of it any more.
    var isLost: Bool { PQstatus(handle) != CONNECTION_OK }

    var socket: Int32 { PQsocket(handle) }

    /// Whether a transaction is open and can still be committed.
    var isInHealthyTransaction: Bool { PQtransactionStatus(handle) == PQTRANS_INTRANS }

    /// Lets `statement` travel with the next one that is asked.
    func enqueue(_ statement: Statement) { queue.append(statement) }

    /// Drops what was queued from the latest savepoint on; false if that savepoint has been sent already.
    func dropQueuedSavepoint() -> Bool {
        guard let index = queue.lastIndex(where: \.isSavepoint) else {
            queue.removeAll()
            return false
        }
        queue.removeSubrange(index...)
        return true
    }

    func dropQueue() { queue.removeAll() }

    /// Sends what is queued and `statement`, and returns the answer to that one.
    func ask(_ statement: Statement) throws(PostgresError) -> Answer {
        queue.append(statement)
        let sent = queue
        queue.removeAll()
        var awaited: [Step] = []
        for one in sent { awaited += try send(one) }
        guard PQpipelineSync(handle) == 1 else { throw PostgresError(connection: handle) }
        return try answer(to: awaited)
    }

    func ask(_ sql: String, _ arguments: SQLValue...) throws(PostgresError) -> Answer {
        try ask(Statement(sql, arguments))
    }

    /// What the notifications said that have come in.
    func notifications() throws(PostgresError) -> [String] {
        guard PQconsumeInput(handle) == 1 else { throw PostgresError(connection: handle) }
        var found: [String] = []
        while let notice = PQnotifies(handle) {
            found.append(String(cString: notice.pointee.extra))
            PQfreemem(notice)
        }
        return found
    }

    // MARK: Sending

    /// What the server is going to answer, in order.
    private enum Step {
        case preparation(sql: String, Prepared)
        case execution(sql: String)
    }

    private func send(_ statement: Statement) throws(PostgresError) -> [Step] {
        var steps: [Step] = []
        let name: String
        if let known = prepared[statement.sql] {
            name = known.name
        } else if prepared.count < Self.preparedMax {
            lastName += 1
            let new = Prepared(name: "s\(lastName)")
            prepared[statement.sql] = new
            name = new.name
            steps.append(try prepare(statement.sql, as: new))
        } else {
            name = ""
            steps.append(try prepare(statement.sql, as: Prepared(name: name)))
        }
        let isSent = withCStrings(statement.arguments) { pointers in
            PQsendQueryPrepared(handle, name, Int32(statement.arguments.count), pointers, nil, nil, 0)
        }
        guard isSent == 1 else { throw PostgresError(connection: handle) }
        return steps + [.execution(sql: statement.sql)]
    }

    private func prepare(_ sql: String, as new: Prepared) throws(PostgresError) -> Step {
        guard PQsendPrepare(handle, new.name, Self.numbered(sql), 0, nil) == 1 else {
            throw PostgresError(connection: handle)
        }
        return .preparation(sql: sql, new)
    }

    /// `?` as PostgreSQL counts it: `$1`, `$2` … No statement of the store has one in a literal.
    static func numbered(_ sql: String) -> String {
        var result = ""
        result.reserveCapacity(sql.utf8.count + 16)
        var number = 0
        for part in sql.utf8.split(separator: UInt8(ascii: "?"), omittingEmptySubsequences: false) {
            if number > 0 { result += "$\(number)" }
            result += Substring(part)
            number += 1
        }
        return result
    }

    private static func text(of value: SQLValue) throws(PostgresError) -> String? {
        switch value {
        case .null: return nil
        case .integer(let number): return String(number)
        case .real(let number): return String(number)
        case .text(let text):
            guard !text.utf8.contains(0) else {
                throw PostgresError(state: "22021", message: "a text with a zero byte cannot be stored")
            }
            return text
        case .blob(let bytes): return "\\x" + bytes.map { Self.hex[Int($0)] }.joined()
        }
    }

    private static let hex = (0...255).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }

    // MARK: Answers

    private func answer(to steps: [Step]) throws(PostgresError) -> Answer {
        var last = Answer()
        var failure: PostgresError?
        for step in steps {
            do throws(PostgresError) {
                last = try read(step)
            } catch {
                if case .preparation(let sql, _) = step { prepared[sql] = nil }
                // What follows a failure is only said to be aborted.
                if failure == nil || failure?.state == PostgresError.aborted { failure = error }
            }
            if isLost { break }
        }
        // The end of the pipeline's part.
        while !isLost, let result = PQgetResult(handle) {
            let isSync = PQresultStatus(result) == PGRES_PIPELINE_SYNC
            PQclear(result)
            if isSync { break }
        }
        if isLost { throw PostgresError(connection: handle) }
        if let failure { throw failure }
        return last
    }

    private func read(_ step: Step) throws(PostgresError) -> Answer {
        guard let result = PQgetResult(handle) else { throw PostgresError(connection: handle) }
        defer { PQclear(result) }
        // Each statement's results end with a null one.
        defer { while let extra = PQgetResult(handle) { PQclear(extra) } }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: break
        case PGRES_PIPELINE_ABORTED: throw PostgresError(state: PostgresError.aborted, message: "not carried out")
        default: throw PostgresError(result: result)
        }
        guard case .execution(let sql) = step else { return Answer() }
        var answer = Answer()
        answer.tag = String(cString: PQcmdStatus(result))
        answer.count = Int(String(cString: PQcmdTuples(result))) ?? 0
        if PQresultStatus(result) == PGRES_TUPLES_OK { answer.rows = rows(of: result, sql) }
        return answer
    }

    private func rows(of result: OpaquePointer, _ sql: String) -> [SQLRow] {
        let width = PQnfields(result)
        let columns: [String: Int]
        if let known = prepared[sql]?.columns {
            columns = known
        } else {
            let names = (0..<width).map { String(cString: PQfname(result, $0)) }
            columns = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
            prepared[sql]?.columns = columns
        }
        let types = (0..<width).map { PQftype(result, $0) }
        return (0..<PQntuples(result)).map { row in
            SQLRow(columns: columns, values: (0..<width).map { Self.value(result, row, $0, types[Int($0)]) })
        }
    }

    private static func value(_ result: OpaquePointer, _ row: Int32, _ column: Int32, _ type: Oid) -> SQLValue {
        guard PQgetisnull(result, row, column) == 0, let raw = PQgetvalue(result, row, column) else { return .null }
        let text = String(cString: raw)
        switch type {
        case 20, 21, 23, 1700:  // int8, int2, int4, and numeric, which a sum of int8 is
            if let number = Int64(text) { return .integer(number) }
            return Double(text).map(SQLValue.real) ?? .text(text)
        case 700, 701: return Double(text).map(SQLValue.real) ?? .text(text)
        case 16: return .integer(text == "t" ? 1 : 0)
        case 17: return .blob(bytes(ofHex: text.dropFirst(2)))
        default: return .text(text)
        }
    }

    private static func bytes(ofHex text: Substring) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while rest.count >= 2 {
            bytes.append(UInt8(Substring(rest.prefix(2)), radix: 16) ?? 0)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}

/// Calls `body` with C strings, nil for nil, and a final nil.
private func withCStrings<Result>(
    _ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
    var bytes: [CChar] = []
    var offsets: [Int?] = []
    for text in texts {
        guard let text else {
            offsets.append(nil)
            continue
        }
        offsets.append(bytes.count)
        var copied = text
        copied.withUTF8 { $0.withMemoryRebound(to: CChar.self) { bytes.append(contentsOf: $0) } }
        bytes.append(0)
    }
    return bytes.withUnsafeBufferPointer { buffer in
        var pointers: [UnsafePointer<CChar>?] = offsets.map { offset in
            offset.flatMap { buffer.baseAddress?.advanced(by: $0) }
        }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}

private func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
    withCStrings(texts.map(Optional.some), body)
}
