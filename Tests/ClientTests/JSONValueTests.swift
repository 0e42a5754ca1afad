import APIClient
import Testing

struct JSONValueTests {
    @Test(arguments: [
        #"{"b":1,"a":[true,false,null],"c":{}}"#, #"[1e400,-0.5,12345678901234567890123]"#, #""ü\"\\\n""#,
    ])
    func `a document keeps its order and its digits`(_ text: String) throws {
        #expect(try JSONValue(parsing: text).text == text)
    }

    @Test func `escapes are read and written as the characters they mean`() throws {
        #expect(try JSONValue(parsing: #""\u00fc\/\ud83d\ude00\u0001""#).text == #""ü/😀\u0001""#)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "tru", "1 2", "\"a", "\"\\ud800\"", "\"\\u00g0\"", "+1", ".5", "nan", "inf", "0x10",
        "\"\u{1}\"", "{a:1}", "-", String(repeating: "[", count: 5_000),
    ])
    func `what is no JSON is refused`(_ text: String) {
        #expect(throws: JSONValue.Malformed.self) { try JSONValue(parsing: text) }
    }

    @Test func `a member is found by its name`() throws {
        let document = try JSONValue(parsing: #"{"items":[1,2],"nextCursor":null}"#)
        #expect(document["items"]?.elements?.count == 2)
        #expect(document["other"] == nil)
    }
}
