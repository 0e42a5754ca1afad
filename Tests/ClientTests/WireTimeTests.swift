import APIClient
import Testing

struct WireTimeTests {
    @Test func `the API's times are read to the millisecond`() throws {
        #expect(WireTime.seconds(rfc3339: "1970-01-01T00:00:00Z") == 0)
        #expect(WireTime.seconds(rfc3339: "2000-02-29T12:00:00.250Z") == 951_825_600.25)
        #expect(WireTime.seconds(rfc3339: "2026-03-01T00:00:00.000Z") == 1_772_323_200)
    }

    @Test func `HTTP's dates are read`() {
        #expect(WireTime.seconds(httpDate: "Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
    }

    @Test(arguments: ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+01:00"])
    func `anything else is no time`(_ text: String) {
        #expect(WireTime.seconds(rfc3339: text) == nil)
        #expect(WireTime.seconds(httpDate: text) == nil)
    }
}
