package import APIContract
import AsyncHTTPClient
import FoundationEssentials
import NIOCore

extension RoostClient {
    /// An event, and the JSON that it came in.
    package typealias EventHandler = (EventResource, _ text: String) throws -> Void

    /// How a reader of the event stream ends.
    package enum StreamEnd: Hashable, Sendable {
        /// Never by itself: a connection that breaks is made anew and goes on after the last event.
        case never
        /// When nothing came for so many milliseconds: what was there is told by then.
        case whenQuiet(milliseconds: Int64)
    }

    /// Hands each event after `id` to `body`, in commit order and each once.
    ///
    /// nil starts with what happens from now on. Throws when the server stays away for a minute, or what `body` throws.
    package func followEvents(
        after id: Int64?, until end: StreamEnd = .never, _ body: EventHandler
    ) async throws {
        let silence: TimeAmount =
            switch end {
            case .never: .seconds(45)  // The server breaks every silence within 15 s.
            case .whenQuiet(let milliseconds): .milliseconds(milliseconds)
            }
        let http = try Self.makeHTTP(access, silenceMax: silence)
        do {
            try await readStreams(http, after: id, until: end, body)
        } catch {
            try? await http.shutdown()
            throw error
        }
        try? await http.shutdown()
    }

    private func readStreams(
        _ http: HTTPClient, after id: Int64?, until end: StreamEnd, _ body: EventHandler
    ) async throws {
        var last = id
        var hadConnection = false
        var failures = 0
        while true {
            do {
                let response = try await connect(http, after: last)
                hadConnection = true
                failures = 0
                try await read(response, last: &last, body)
            } catch let error as HTTPClientError where error == .readTimeout && end != .never {
                return
            } catch let failure as APIFailure {
                guard case .unreachable(_, .notConnected) = failure, hadConnection, failures < 30 else { throw failure }
            }
            // The stream ended or broke: the next one begins after the last event that was handed out.
            if end != .never { return }
            failures += 1
            try await Task.sleep(for: .seconds(failures == 1 ? 0.2 : 2))
        }
    }

    private func connect(_ http: HTTPClient, after id: Int64?) async throws(APIFailure) -> HTTPClientResponse {
        var request = HTTPClientRequest(url: access.address + "/v1/events" + (id.map { "?after=\($0)" } ?? ""))
        request.headers.add(name: "authorization", value: "Bearer \(access.token)")
        request.headers.add(name: "user-agent", value: "roost/\(Release.version)")
        request.headers.add(name: "accept", value: "text/event-stream, application/problem+json")
        let response: HTTPClientResponse
        let body: [UInt8]
        do {
            response = try await http.execute(request, deadline: .distantFuture)
            if response.status == .ok { return response }
            body = Array(try await response.body.collect(upTo: 1 << 20).readableBytesView)
        } catch {
            throw .init(transport: error, access: access, secondsMax: 45)
        }
        let raw = RawAnswer(
            address: access.address, status: Int(response.status.code), reason: response.status.reasonPhrase,
            contentType: "", serverTime: nil, retryAfter: nil, body: body)
        try raw.check()
        throw .unexpectedAnswer(address: access.address, detail: "it is \(raw.status) \(raw.reason)")
    }

    /// Returns when the stream ended or broke. Only a silence is thrown on.
    private func read(_ response: HTTPClientResponse, last: inout Int64?, _ body: EventHandler) async throws {
        var parser = ServerSentEvents()
        var pieces = response.body.makeAsyncIterator()
        while true {
            let piece: ByteBuffer?
            do {
                piece = try await pieces.next()
            } catch let error as HTTPClientError where error == .readTimeout {
                throw error
            } catch {
                return
            }
            guard let piece else { return }
            for event in parser.read(piece.readableBytesView) {
                guard let resource = try? JSONDecoder().decode(EventResource.self, from: Data(event.data.utf8)) else {
                    throw APIFailure.unexpectedAnswer(
                        address: access.address, detail: "an event of its stream cannot be read")
                }
                if let last, resource.id <= last { continue }
                last = resource.id
                try body(resource, event.data)
            }
        }
    }
}
