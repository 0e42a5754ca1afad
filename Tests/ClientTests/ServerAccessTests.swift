import APIClient
import Testing

struct ServerAccessTests {
    @Test(arguments: [
        "http://127.0.0.1:7080", "http://127.8.9.1", "http://localhost:1", "http://[::1]:7080", "https://roost.example",
    ])
    func `a token goes to this machine, or over https`(_ address: String) throws {
        #expect(try ServerAccess(address: address, token: "t").address == address)
    }

    @Test(arguments: [
        "http://10.0.0.1:7080", "http://localhost.example", "http://127.0.0.1.example", "http://128.0.0.1",
    ])
    func `a token is not sent in clear to another machine, unless that is asked for`(_ address: String) throws {
        #expect(throws: ServerAccess.Refusal.plainHTTP(address)) { try ServerAccess(address: address, token: "t") }
        _ = try ServerAccess(address: address, token: "t", sendsTokenInClear: true)
    }

    @Test(arguments: ["", "h1:7080", "127.0.0.1:7080", "ftp://h1", "https://", "https://me@h1", "https://h1?x=1"])
    func `what is no address of a server is refused`(_ address: String) {
        #expect(throws: ServerAccess.Refusal.notAnAddress(address)) { try ServerAccess(address: address, token: "t") }
    }

    @Test(arguments: ["", "a b", "a\nb", "ü"])
    func `a token that no header can carry is refused`(_ token: String) {
        #expect(throws: ServerAccess.Refusal.badToken) { try ServerAccess(address: "http://[::1]", token: token) }
    }

    @Test func `slashes at the end of an address make no difference`() throws {
        #expect(try ServerAccess(address: "https://h1//", token: "t").address == "https://h1")
    }
}
