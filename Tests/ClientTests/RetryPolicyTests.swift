import APIClient
import APIContract
import Testing

struct RetryPolicyTests {
    private let policy = RetryPolicy.standard

    private func problem(_ status: Int, _ code: String) -> APIFailure {
        .problem(Problem(type: "about:blank", title: "No", status: status, detail: "No.", code: code))
    }

    @Test func `a broken connection is tried again, with longer and longer pauses, and not for ever`() {
        let failure = APIFailure.unreachable(address: "a", .broken)
        let delays = (1...9).map { policy.delay(after: failure, attempt: $0, hadConnection: true) }
        #expect(delays.prefix(4) == [.milliseconds(200), .milliseconds(600), .milliseconds(1800), .milliseconds(5400)])
        #expect(delays.dropFirst(4).allSatisfy { $0 == nil })
    }

    @Test func `a server that was never there is not waited for, and one that went away is`() {
        let failure = APIFailure.unreachable(address: "a", .notConnected)
        #expect(policy.delay(after: failure, attempt: 1, hadConnection: false) == nil)
        #expect(policy.delay(after: failure, attempt: 1, hadConnection: true) != nil)
    }

    @Test func `a server that is busy for a moment is asked again, after the time it names`() {
        let failure = problem(503, "store-unavailable")
        #expect(policy.delay(after: failure, attempt: 1, hadConnection: true) == .milliseconds(200))
        #expect(policy.delay(after: failure, attempt: 1, hadConnection: true, retryAfter: 2) == .seconds(2))
        #expect(policy.delay(after: failure, attempt: 1, hadConnection: true, retryAfter: 9_999) == .seconds(10))
    }

    @Test(arguments: [
        (503, "host-unreachable"), (503, "libvirt-unavailable"), (400, "invalid-field"), (404, "not-found"),
        (409, "placement-unresolved"), (500, "internal-error"),
    ])
    func `an answer that tells the truth is not asked for again`(_ status: Int, _ code: String) {
        #expect(policy.delay(after: problem(status, code), attempt: 1, hadConnection: true) == nil)
    }

    @Test func `what ran out of time may have taken effect, and is not repeated`() {
        let failure = APIFailure.timedOut(address: "a", seconds: 30)
        #expect(policy.delay(after: failure, attempt: 1, hadConnection: true) == nil)
    }
}
