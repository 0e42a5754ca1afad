import APIClient
import APIContract
import ArgumentParser
import Testing

@testable import roost

struct ExitStatusTests {
    // The testing library has a type of the same name.
    private typealias ExitStatus = roost.ExitStatus

    private func problem(_ status: Int) -> Problem {
        Problem(type: "about:blank", title: "No", status: status, detail: "It is so.", code: "x", hint: "do y")
    }

    private func operation(_ state: String, _ error: Problem? = nil) -> OperationResource {
        OperationResource(
            id: "1", kind: "stop", vm: "2", host: "3", epoch: 7, state: state, outcome: nil, progress: nil,
            error: error, attempts: 1, requestedBy: "admin", revision: 1, createdAt: "", updatedAt: "", endedAt: "")
    }

    @Test func `a drain that ended is told of as a host's`() {
        var drain = operation("superseded")
        drain.kind = "maintain"
        drain.vm = nil
        var failure: CommandFailure?
        do { try OperationWait.check(drain, of: "h1") } catch { failure = error }
        #expect(failure?.message == "The maintain of h1 was superseded: the host is no longer in maintenance.")
        #expect(failure?.hint == "'roost host show h1' shows how it is now")
        #expect(failure?.status == .conflict)
    }

    private func statusOfCheck(_ state: String, _ error: Problem? = nil) -> ExitStatus {
        do {
            try OperationWait.check(operation(state, error), of: "web")
            return .done
        } catch {
            return error.status
        }
    }

    private func report(_ arguments: [String]) -> ErrorReport? {
        do {
            var command = try Roost.parseAsRoot(arguments)
            // Help is a command of its own, whose run prints nothing but throws what is to be printed.
            if !(command is any AsyncParsableCommand) { try command.run() }
            return nil
        } catch {
            return ErrorReport(error)
        }
    }

    @Test(arguments: [
        (400, 1), (401, 5), (403, 5), (404, 3), (409, 4), (412, 4), (413, 1), (422, 1), (500, 1), (503, 1), (504, 7),
    ])
    func `the status of an answer decides the exit status`(_ status: Int, _ expected: Int32) {
        #expect(ExitStatus(of: problem(status)).rawValue == expected)
    }

    @Test func `a server that is not reached is 6, and an answer that does not come is 7`() {
        #expect(ExitStatus(of: .unreachable(address: "a", .notConnected)).rawValue == 6)
        #expect(ExitStatus(of: .unreachable(address: "a", .untrusted)).rawValue == 6)
        #expect(ExitStatus(of: .timedOut(address: "a", seconds: 1)).rawValue == 7)
    }

    @Test func `the end of an operation decides the exit status`() {
        #expect(statusOfCheck("succeeded") == .done)
        #expect(statusOfCheck("superseded") == .conflict)
        #expect(statusOfCheck("cancelled") == .refused)
        #expect(statusOfCheck("failed", problem(503)) == .refused)
        #expect(statusOfCheck("failed", problem(404)) == .notFound)
        #expect(statusOfCheck("failed") == .refused)
    }

    @Test func `an error is what went wrong and what to do`() {
        let report = ErrorReport(APIFailure.problem(problem(409)))
        #expect(report.text == "roost: It is so.\nhint: do y\n")
        #expect(report.status == .conflict)
    }

    @Test func `an error that nobody foresaw shows nothing of itself`() {
        struct Secret: Error { let word = "hunter2" }
        #expect(ErrorReport(Secret()).status == .refused)
        #expect(!ErrorReport(Secret()).text.contains("hunter2"))
    }

    @Test(arguments: [
        ["vm", "show"], ["vm", "show", ""], ["vm", "fly"], ["--nonsense"], ["vm", "stop", "a", "--mode", "maybe"],
        ["vm", "create", "a", "--image", "i", "--memory", "0"], ["vm", "console", "a"], ["vm", "list", "-o", "xml"],
        ["image", "create", "a"], ["image", "create", "a", "--disk", "d", "--kernel", "k"],
        ["image", "create", "a", "--disk", "d", "--append", "x"], ["host", "fence", "h1"],
        ["vm", "recover"], ["vm", "recover", "a", "--name", ""], ["vm", "expunge", ""], ["vm", "expunge", "a", "b"],
        ["host", "fence", "h1", "--proof", " "], ["completion", "tcsh"], ["event", "--after=-1"],
    ])
    func `wrong usage is 2 and says where the right one is shown`(_ arguments: [String]) throws {
        let report = try #require(self.report(arguments))
        #expect(report.status == .usage)
        #expect(report.text.hasPrefix("roost: "))
        #expect(report.text.contains("\nhint: roost "))
        #expect(report.text.contains("--help shows how it is used\n"))
    }

    @Test func `help that is asked for is no error`() throws {
        #expect(try #require(report(["vm", "stop", "--help"])).status == .done)
        #expect(try #require(report(["help", "gc"])).status == .done)
    }
}
