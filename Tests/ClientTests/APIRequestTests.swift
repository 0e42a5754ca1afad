import APIClient
import Testing

struct APIRequestTests {
    @Test func `a name stays one segment of the path whatever it holds`() {
        #expect(APIRequest(.get, ["vms", "a/b?c#d e"]).target == "/v1/vms/a%2Fb%3Fc%23d%20e")
        #expect(APIRequest(.get, ["vms", ".."]).target == "/v1/vms/%2E%2E")
        #expect(APIRequest(.get, ["vms", "ü"]).target == "/v1/vms/%C3%BC")
    }

    @Test func `a parameter without a value is left out`() {
        let request = APIRequest(.get, ["vms"], query: [(name: "state", value: nil), (name: "host", value: "h&1")])
        #expect(request.target == "/v1/vms?host=h%261")
    }

    @Test func `every POST and DELETE has an idempotency key of its own`() {
        let keys = [APIRequest(.post, ["vms"]), APIRequest(.post, ["vms"]), APIRequest(.delete, ["vms", "a"])]
            .compactMap(\.idempotencyKey)
        #expect(Set(keys).count == 3)
        #expect(APIRequest(.get, ["vms"]).idempotencyKey == nil)
    }
}
