import Testing

@testable import APIServer

@Suite struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONParser.parse(Array(text.utf8)) }

    @Test func `every kind of value is read`() throws {
        let value = try parse(#" {"a":[1,-2.5e+3,true,false,null],"b":"x\n\u00e4\ud83d\ude00\/","c":{}} "#)
        #expect(value["a"] == .array([1, .number("-2.5e+3"), true, false, .null]))
        #expect(value["b"] == "x\nä😀/")
        #expect(value["c"] == .object([]))
    }

    @Test(arguments: [
        "", " ", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "[1", "[1,", "\"x", "tru", "1.", "1e", "-", "\"\\",
        "\"\\u12", "{\"a\":1}x", "{} {}", "{'a':1}", "{a:1}", "{\"a\":1,}", "[1,]", "01", "+1", ".5", "NaN", "Infinity",
        "\"\u{1}\"", "\"\\x\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "{\"a\":1,\"a\":2}", "\u{FEFF}{}",
        "// comment\n{}", "1 2", "{\"a\" 1}",
    ])
    func `what is no JSON is refused`(_ text: String) {
        #expect(throws: JSONParser.Failure.self) { try parse(text) }
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        #expect(throws: JSONParser.Failure.self) { try JSONParser.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONParser.Failure.self) { try JSONParser.parse([0x22, 0xC0, 0x80, 0x22]) }
    }

    @Test func `nesting has a limit, and a deep text does not exhaust the stack`() throws {
        #expect(throws: Never.self) { try parse(String(repeating: "[", count: 16) + String(repeating: "]", count: 16)) }
        let failure = #expect(throws: JSONParser.Failure.self) { try parse(String(repeating: "[", count: 500_000)) }
        #expect(failure?.reason == "it is nested more than 16 levels deep")
    }

    @Test func `what is written is read back the same`() throws {
        let value: JSONValue = [
            "text": "a\"\\\u{0}\u{1F}\u{7F}/ä\n\t\r", "list": [1, .null, true], "none": .object([]),
        ]
        #expect(try JSONParser.parse(value.encoded) == value)
    }

    @Test func `integers are only what is spelled as one and fits`() {
        #expect(JSONValue.number("42").integerValue == 42)
        for text in ["1.5", "1e3", "1.0", "99999999999999999999"] {
            #expect(JSONValue.number(text).integerValue == nil)
        }
        #expect(JSONValue.string("42").integerValue == nil)
    }
}
