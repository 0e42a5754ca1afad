import APIContract
import Foundation

/// A bench's server, asked by this process itself: a call costs a few milliseconds, where starting the client costs a
/// hundred.
struct BenchAPI: Sendable {
    let directory: String
    /// Which of the bench's servers is asked.
    var server = 1
    /// How long an answer may take, in seconds.
    var patience = 30

    struct Answer: Sendable {
        let status: Int
        let body: Data

        func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
            try JSONDecoder().decode(Value.self, from: body)
        }

        /// The stable code of an error, or the start of whatever else was answered.
        var code: String {
            (try? json(Problem.self).code) ?? String(String(decoding: body, as: UTF8.self).prefix(120))
        }
    }

    /// No whole answer came: whether the request took effect is not known.
    struct Unanswered: Error, CustomStringConvertible {
        let description: String
    }

    func send(
        _ method: String, _ path: String, body: (any Encodable & Sendable)? = nil, key: String? = nil
    ) async throws -> Answer {
        // The same request has the same bytes each time.
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let content = try body.map { try encoder.encode($0) } ?? Data()
        var head = ["\(method) /v1\(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        let token = try String(contentsOfFile: "\(directory)/server/admin.token", encoding: .utf8)
        head.append("Authorization: Bearer \(token.trimmingCharacters(in: .whitespacesAndNewlines))")
        head.append("Content-Length: \(content.count)")
        if !content.isEmpty { head.append("Content-Type: application/json") }
        if let key { head.append("Idempotency-Key: \(key)") }
        let request = Data((head.joined(separator: "\r\n") + "\r\n\r\n").utf8) + content
        let whole = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try exchange(request) }) }
        }
        return try Self.parse(whole)
    }

    /// Everything of one kind, page by page.
    func all<Item: Codable & Sendable>(_ path: String, of type: Item.Type = Item.self) async throws -> [Item] {
        var items: [Item] = []
        var cursor: String?
        repeat {
            let answer = try await send("GET", "\(path)?limit=500" + (cursor.map { "&cursor=\($0)" } ?? ""))
            guard answer.status == 200 else { throw ProgramFailed(description: "\(path): \(answer.code)") }
            let page = try answer.json(Page<Item>.self)
            items += page.items
            cursor = page.nextCursor
        } while cursor != nil
        return items
    }

    /// In a thread of its own, which alone is in the wire's network namespace, and ends with the call.
    private func exchange(_ request: Data) throws -> Data {
        let connection = Wire(directory: directory).dial(.api, ofServer: server)
        guard connection >= 0 else { throw failure("connect") }
        defer { close(connection) }
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let sent = request.withUnsafeBytes {
            Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard sent == request.count else { throw failure("send") }
        var whole = Data()
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count >= 0 else { throw failure("recv") }
            guard count > 0 else { return whole }
            whole += buffer[..<count]
        }
    }

    private func failure(_ call: String) -> Unanswered {
        Unanswered(description: "\(call): \(String(cString: strerror(errno)))")
    }

    private static func parse(_ whole: Data) throws -> Answer {
        guard let end = whole.firstRange(of: Data("\r\n\r\n".utf8)) else {
            throw Unanswered(description: "\(whole.count) bytes of an answer")
        }
        let lines = String(decoding: whole[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) }
        let length = lines.first { $0.lowercased().hasPrefix("content-length:") }?.split(separator: ":").last
        let body = whole[end.upperBound...]
        guard let status, let length, Int(length.trimmingCharacters(in: .whitespaces)) == body.count else {
            throw Unanswered(description: "\(body.count) bytes of an answer's body, after \(lines)")
        }
        return Answer(status: status, body: Data(body))
    }
}
