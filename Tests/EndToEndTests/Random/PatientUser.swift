import APIContract
import Foundation

/// Asks until there is an answer, and keeps account of what was accepted.
struct PatientUser: Sendable {
    let servers: [BenchAPI]
    let journal: RandomJournal

    /// Sends a request; one that was not answered again and again, as the same request.
    ///
    /// - Parameter first: which of the servers it goes to first; one that does not answer, or cannot reach its database, is
    ///   followed by the next one.
    func ask(
        _ what: String, _ method: String, _ path: String, _ body: (any Encodable & Sendable)?, first: Int = 0
    ) async throws -> BenchAPI.Answer {
        let key = method == "GET" ? nil : UUID().uuidString
        let deadline = ContinuousClock.now + .seconds(90)
        var tries = first
        while true {
            defer { tries += 1 }
            do {
                let answer = try await servers[tries % servers.count].send(method, path, body: body, key: key)
                guard servers.count == 1 || answer.status != 503 || answer.code != "store-unavailable" else {
                    throw BenchAPI.Unanswered(description: answer.code)
                }
                try take(answer, to: what)
                return answer
            } catch let error as BenchAPI.Unanswered {
                journal.note("\(what): no answer: \(error)")
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(300))
            }
        }
    }

    private func take(_ answer: BenchAPI.Answer, to what: String) throws {
        switch answer.status {
        // What is only looked at, and often, would hide the rest.
        case 200: break
        case 201: journal.note("\(what): \(answer.status)")
        case 202:
            if let operation = try? answer.json(OperationResource.self) {
                journal.accepted(operation.id)
                journal.count("accepted")
                let end = operation.error.map { " \($0.code)" } ?? ""
                journal.note("\(what): \(operation.id) of \(operation.vm ?? "no VM") \(operation.state)\(end)")
            } else {
                journal.note("\(what): accepted")
            }
        case 404, 409, 412, 503:
            journal.count("refused \(answer.code)")
            journal.note("\(what): \(answer.code)")
        default: journal.violated("\(what): the server answered \(answer.status) \(answer.code)")
        }
    }
}
