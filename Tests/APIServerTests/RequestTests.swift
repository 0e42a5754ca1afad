import ControlPlane
import Domain
import HTTPTypes
import Testing

@testable import APIServer

@Suite struct QueryTests {
    private static let limit = QueryField<Int64>.integer("limit", in: 1...500, "")
    private static let force = QueryField<Bool>.flag("force", "")
    private static let name = QueryField<String>.text("name", upTo: 8, "")

    private func read(_ query: String) throws -> QueryValues {
        try QueryValues(query, knowing: [Self.limit, Self.force, Self.name])
    }

    @Test func `parameters are decoded and read`() throws {
        let values = try read("limit=20&force=true&name=a%2Db+c")
        #expect(try values.optional(Self.limit) == 20)
        #expect(try values.optional(Self.force) == true)
        #expect(try values.optional(Self.name) == "a-b c")
        #expect(try read("").optional(Self.limit) == nil)
    }

    @Test(arguments: ["limt=1", "limit=1&limit=2", "name=%zz", "name=%", "name=%ff", "=1", "other"])
    func `unknown, repeated and broken parameters are refused`(_ query: String) {
        #expect(throws: Fault.self) { try read(query) }
    }

    @Test(arguments: ["0", "501", "-1", "+1", "1.0", "ten", "", "99999999999999999999"])
    func `a limit out of range is refused by name`(_ text: String) throws {
        let values = try read("limit=\(text.replacing("+", with: "%2B"))")
        let fault = #expect(throws: Fault.self) { try values.optional(Self.limit) }
        #expect(fault?.field == "limit")
    }

    private static let list = ListParameters(
        filters: [.choice("state", of: ["on", "off"], "")], sorts: ["name", "createdAt"])

    private func query(_ text: String) throws -> ListQuery {
        try Self.list.query(QueryValues(text, knowing: Self.list.fields))
    }

    @Test func `a list's query has its filters, order and place`() throws {
        let first = try query("state=on&sort=-createdAt&limit=5")
        #expect(first.filters == ["state": "on"])
        #expect(first.sort == "createdAt" && first.descending && first.limit == 5)
        #expect(try query("").limit == 100)
        let place = ListQuery.Cursor(value: "2025 ä+/", id: "x")
        let cursor = try #require(ListParameters.cursor(place, of: first))
        #expect(
            cursor.utf8.allSatisfy {
                Character(Unicode.Scalar($0)).isLetter || Character(Unicode.Scalar($0)).isNumber || $0 == 0x2D
                    || $0 == 0x5F
            })
        #expect(try query("sort=-createdAt&cursor=\(cursor)").after == place)
    }

    @Test func `a cursor that is not one, or of another order, is refused`() throws {
        let cursor = try #require(ListParameters.cursor(.init(value: "a", id: "b"), of: try query("sort=name")))
        for text in ["cursor=\(cursor)", "sort=name&cursor=abc", "sort=name&cursor=%2B%2B", "sort=name&cursor=e30"] {
            let fault = #expect(throws: Fault.self) { try query(text) }
            #expect(fault?.field == "cursor")
        }
        #expect(throws: Fault.self) { try query("sort=colour") }
        #expect(throws: Fault.self) { try query("state=maybe") }
    }
}

@Suite struct HeaderTests {
    private func headers(_ pairs: [(String, String)]) -> HTTPFields {
        var fields = HTTPFields()
        for (name, value) in pairs { fields[named: name] = value }
        return fields
    }

    @Test func `the token stands after Bearer`() throws {
        #expect(try RequestHeaders.bearerToken(headers([("authorization", "bearer abc")])) == "abc")
        for value in ["abc", "Basic abc", "Bearer", "Bearer a b", ""] {
            let fault = #expect(throws: Fault.self) {
                try RequestHeaders.bearerToken(headers([("authorization", value)]))
            }
            #expect(fault?.status == 401)
        }
        #expect(throws: Fault.self) { try RequestHeaders.bearerToken([:]) }
    }

    @Test func `an idempotency key is short and visible`() throws {
        #expect(try RequestHeaders.idempotencyKey(headers([("Idempotency-Key", "a-1")])) == "a-1")
        #expect(try RequestHeaders.idempotencyKey([:]) == nil)
        for value in [String(repeating: "k", count: 129), "a b"] {
            #expect(throws: Fault.self) { try RequestHeaders.idempotencyKey(headers([("Idempotency-Key", value)])) }
        }
    }

    @Test func `If-Match is an ETag of this API`() throws {
        #expect(try RequestHeaders.ifMatch(headers([("If-Match", "\"7\"")])) == 7)
        #expect(try RequestHeaders.ifMatch(headers([("If-Match", "*")])) == nil)
        for value in ["\"x\"", "W/\"7\"", "\"-1\"", "\"1\",\"2\""] {
            #expect(throws: Fault.self) { try RequestHeaders.ifMatch(headers([("If-Match", value)])) }
        }
    }

    @Test func `a body must say that it is JSON`() throws {
        for value in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""] {
            try RequestHeaders.checkJSON(headers([("Content-Type", value)]))
        }
        for value in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json"] {
            #expect(throws: Fault.self) { try RequestHeaders.checkJSON(headers([("Content-Type", value)])) }
        }
        #expect(throws: Fault.self) { try RequestHeaders.checkJSON([:]) }
    }
}

@Suite struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:7080", "127.0.0.1", 7080, true), ("[::1]:0", "::1", 0, true), ("localhost:1", "localhost", 1, true),
        ("0.0.0.0:7080", "0.0.0.0", 7080, false), (":7080", "0.0.0.0", 7080, false), ("[::]:80", "::", 80, false),
        ("127.5.6.7:65535", "127.5.6.7", 65535, true), ("127.example.org:1", "127.example.org", 1, false),
        ("10.0.0.1:1", "10.0.0.1", 1, false), ("roost.example:443", "roost.example", 443, false),
    ])
    func `an address is read`(_ text: String, _ host: String, _ port: Int, _ isLoopback: Bool) throws {
        let address = try ListenAddress(parsing: text)
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.isLoopback == isLoopback)
        #expect(try ListenAddress(parsing: address.description) == address)
    }

    @Test(arguments: [
        "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "::1:80",
        "[::1:80", "::1]:80", "[]:80", "a b:80", "http://x:80", "127.0.0.1:8o",
    ])
    func `what is no address is refused with an example`(_ text: String) {
        let fault = #expect(throws: Fault.self) { try ListenAddress(parsing: text) }
        #expect(fault?.hint?.contains("127.0.0.1:7080") == true)
    }
}

@Suite struct TimestampTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_763_884_260_007, "2025-11-23T07:51:00.007Z", "Sun, 23 Nov 2025 07:51:00 GMT"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT"),
            (-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] as [(Int64, String, String)])
    func `a time is written as RFC 3339 and as HTTP have it`(_ time: Int64, _ rfc3339: String, _ http: String) {
        #expect(Timestamp(milliseconds: time).rfc3339 == rfc3339)
        #expect(Timestamp(milliseconds: time).httpDate == http)
    }
}
