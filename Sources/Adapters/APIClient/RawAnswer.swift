import APIContract
import FoundationEssentials

/// An answer before it is known what it holds.
struct RawAnswer: Sendable {
    let address: String
    let status: Int
    let reason: String
    let contentType: String
    let serverTime: Double?
    let retryAfter: Int?
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    /// What the server said no with. The refusal of something in between is put into the same words.
    var problem: Problem? {
        if status < 400 { return nil }
        if let problem = try? JSONDecoder().decode(Problem.self, from: Data(body)) { return problem }
        // Without a problem document, a 404 is not about what was asked for: it comes from no Roost server.
        guard status == 401 || status == 403 || status >= 500 else { return nil }
        return Problem(
            type: "about:blank", title: reason, status: status,
            detail: "\(address) answered \(status) \(reason) and did not say why.", code: "http-\(status)")
    }

    /// Throws unless the server did what was asked of it.
    func check() throws(APIFailure) {
        if let problem { throw .problem(problem) }
        guard (200..<300).contains(status) else { throw unexpected("it is \(status) \(reason)") }
    }

    func decoded<Value: Decodable>() throws(APIFailure) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(body))
        } catch let error as DecodingError {
            throw unexpected(Self.reason(of: error))
        } catch {
            throw unexpected("it is not JSON")
        }
    }

    /// The items of a page as JSON, in the page's order.
    func pageItems(count: Int) throws(APIFailure) -> [JSONValue] {
        guard let items = (try? JSONValue(parsing: text))?["items"]?.elements, items.count == count else {
            throw unexpected("it is no page of a list")
        }
        return items
    }

    private func unexpected(_ detail: String) -> APIFailure {
        .unexpectedAnswer(address: address, detail: detail)
    }

    private static func reason(of error: DecodingError) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, _): return "'\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "'\(path(context))' has another type than expected"
        case .dataCorrupted: return "it is not JSON"
        @unknown default: return "it cannot be read"
        }
    }
}
