import CLibpq
import Domain
import Logging

/// What PostgreSQL or libpq said, with its SQLSTATE.
struct PostgresError: Error, Hashable {
    let state: String
    let message: String

    static let connectionLost = "08006"
    static let noMemory = "53200"
    /// Not the server's: an earlier statement of the same round trip failed.
    static let aborted = "aborted"

    init(state: String, message: String) {
        self.state = state
        self.message = message
    }

    init(connection: OpaquePointer) {
        self.init(state: Self.connectionLost, message: Self.trimmed(PQerrorMessage(connection)))
    }

    init(result: OpaquePointer) {
        let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map { String(cString: $0) }
        self.init(state: state ?? Self.connectionLost, message: Self.trimmed(PQresultErrorMessage(result)))
    }

    private static func trimmed(_ text: UnsafeMutablePointer<CChar>?) -> String {
        guard let text else { return "no reason given" }
        let lines = String(cString: text).split(whereSeparator: \.isNewline)
        return lines.isEmpty ? "no reason given" : lines.joined(separator: " ")
    }

    /// Whether the same transaction may well succeed in another attempt, perhaps on another connection: it met a server that
    /// goes down or is not up yet, or another transaction.
    var isPassing: Bool {
        switch state {
        case "40001", "40P01", "55P03", "57014": true
        // The plan of a prepared statement was made for a schema that has changed since.
        case "0A000", "26000": true
        case "57P01", "57P02", "57P03", "25P02", "25P03", "53300": true
        default: state.hasPrefix("08")
        }
    }

    /// What it means to the reader; PostgreSQL's own words go to the log only.
    func fault(_ logger: Logger) -> Fault {
        logger.error("the database failed", metadata: ["sqlstate": "\(state)", "error": "\(message)"])
        switch state.prefix(2) {
        case "08", "57":
            return unavailable(
                "cannot be reached", "See that PostgreSQL runs and that --database names it; then try again.")
        case "53":
            return unavailable(
                state == "53100" ? "cannot be written: its disk is full" : "has no room for the server",
                "See PostgreSQL's log.")
        case "42" where state == "42501":
            return unavailable("cannot be written", "Give the server's user the right to make and change its tables.")
        case "25" where state == "25006":
            return unavailable("only lets itself be read", "Name the primary server in --database.")
        case "40", "55", "25": return unavailable("was busy with something else for too long", "Try again.")
        case "23": return StoreFault.contradiction
        case "22":
            return Fault(
                .invalid, .invalidField, "A text cannot be stored: \(message).",
                hint: "Leave out what cannot be printed.")
        case "58", "XX": return unavailable("is damaged or cannot be read", "See PostgreSQL's log.")
        default: return StoreFault.unforeseen
        }
    }

    /// The same for whoever starts the server, in libpq's own words: until it is connected it tells no SQLSTATE.
    var openingFault: Fault {
        Fault(
            .unavailable, .storeUnavailable, "The database cannot be opened: \(message)",
            hint: "See that PostgreSQL runs, and that --database names it, a database and a user that it lets in.")
    }

    private func unavailable(_ what: String, _ hint: String) -> Fault {
        Fault(.unavailable, .storeUnavailable, "The database \(what).", hint: hint)
    }
}
