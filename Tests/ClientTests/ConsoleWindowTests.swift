import Testing

@testable import roost

struct ConsoleWindowTests {
    private func new(_ next: String, after previous: String) -> String {
        String(decoding: ConsoleWindow.newBytes(in: Array(next.utf8), after: Array(previous.utf8)), as: UTF8.self)
    }

    @Test func `a log that grew shows what is new`() {
        #expect(new("booting\nlogin: ", after: "booting\n") == "login: ")
        #expect(new("booting\n", after: "booting\n") == "")
        #expect(new("first", after: "") == "first")
    }

    @Test func `a window that moved on shows what lies after the overlap`() {
        #expect(new("cdefgh", after: "abcdef") == "gh")
        #expect(new("efgh", after: "abcdef") == "gh")
    }

    @Test func `a later window that reaches further back shows what lies after the former`() {
        #expect(new("0123456789ab", after: "56789") == "ab")
    }

    @Test func `a log that began anew is shown whole`() {
        #expect(new("xyz", after: "abcdef") == "xyz")
        #expect(new("", after: "abc") == "")
    }
}
