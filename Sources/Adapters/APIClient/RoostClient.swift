import APIContract
import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOSSL

/// The API of one server.
///
/// Every POST and DELETE carries a fresh idempotency key; when the connection breaks, it is sent again with the same.
package struct RoostClient: Sendable {
    package let access: ServerAccess
    private let http: HTTPClient

    /// Runs `body` with a client and closes its connections after it.
    package static func using<Result>(
        _ access: ServerAccess, _ body: (RoostClient) async throws -> Result
    ) async throws -> Result {
        let http = try makeHTTP(access, silenceMax: nil)
        do {
            let result = try await body(RoostClient(access: access, http: http))
            try? await http.shutdown()
            return result
        } catch {
            try? await http.shutdown()
            throw error
        }
    }

    /// `silenceMax` ends a connection on which nothing comes for so long.
    static func makeHTTP(_ access: ServerAccess, silenceMax: TimeAmount?) throws(APIFailure) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.timeout = .init(connect: .seconds(5), read: silenceMax)
        configuration.connectionPool.retryConnectionEstablishment = false
        if let path = access.caFile {
            var tls = TLSConfiguration.makeClientConfiguration()
            do {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
            } catch {
                throw .fileUnreadable(path: path, detail: "holds no CA certificate that can be read")
            }
            configuration.tlsConfiguration = tls
        }
        return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }

    /// Sends the request until it is answered, or a further attempt makes no sense.
    func send(_ request: APIRequest) async throws(APIFailure) -> RawAnswer {
        var attempt = 1
        var hadConnection = false
        while true {
            let failure: APIFailure
            var retryAfter: Int?
            do throws(APIFailure) {
                let answer = try await sendOnce(request)
                hadConnection = true
                retryAfter = answer.retryAfter
                try answer.check()
                return answer
            } catch {
                if case .unreachable(_, .broken) = error { hadConnection = true }
                failure = error
            }
            guard
                let delay = request.retries.delay(
                    after: failure, attempt: attempt, hadConnection: hadConnection, retryAfter: retryAfter)
            else { throw failure }
            // Clients that lost the same server do not all come back at the same moment.
            do { try await Task.sleep(for: delay * Double.random(in: 0.75...1.25)) } catch { throw failure }
            attempt += 1
        }
    }

    private func sendOnce(_ request: APIRequest) async throws(APIFailure) -> RawAnswer {
        do {
            let response = try await http.execute(
                prepared(request), timeout: .seconds(Int64(request.secondsMax)))
            let body = try await response.body.collect(upTo: 64 << 20)
            return RawAnswer(
                address: access.address, status: Int(response.status.code), reason: response.status.reasonPhrase,
                contentType: response.headers.first(name: "content-type") ?? "",
                serverTime: response.headers.first(name: "date").flatMap { WireTime.seconds(httpDate: $0) },
                retryAfter: response.headers.first(name: "retry-after").flatMap { Int($0) },
                body: Array(body.readableBytesView))
        } catch let failure as APIFailure {
            throw failure
        } catch {
            throw .init(transport: error, access: access, secondsMax: request.secondsMax)
        }
    }

    private func prepared(_ request: APIRequest) -> HTTPClientRequest {
        var prepared = HTTPClientRequest(url: access.address + request.target)
        prepared.method = .RAW(value: request.method.rawValue)
        prepared.headers.add(name: "authorization", value: "Bearer \(access.token)")
        prepared.headers.add(name: "user-agent", value: "roost/\(Release.version)")
        prepared.headers.add(name: "accept", value: "application/json, application/problem+json, text/plain")
        if let key = request.idempotencyKey { prepared.headers.add(name: "idempotency-key", value: key) }
        switch request.body {
        case .none: break
        case .json(let text):
            prepared.headers.add(name: "content-type", value: "application/json")
            prepared.body = .bytes(ByteBuffer(string: text))
        case .file(let file):
            prepared.headers.add(name: "content-type", value: "application/octet-stream")
            prepared.body = .stream(file, length: .known(file.size))
        }
        return prepared
    }
}

extension RoostClient {
    /// Sends the request and reads the answer as a `Value`.
    func value<Value: Decodable & Sendable>(
        _ request: APIRequest, as type: Value.Type = Value.self
    ) async throws(APIFailure) -> Answer<Value> {
        let raw = try await send(request)
        return Answer(value: try raw.decoded(), text: raw.text, serverTime: raw.serverTime)
    }

    /// Gathers all pages of a list, or its first `limit` items.
    func list<Item: Codable & Sendable>(
        _ path: [String], query: [(name: String, value: String?)] = [], limit: Int? = nil
    ) async throws(APIFailure) -> Listing<Item> {
        var items: [Item] = []
        var documents: [JSONValue] = []
        var cursor: String?
        while true {
            let size = min(limit.map { $0 - items.count } ?? 500, 500)
            let paging = [(name: "limit", value: String(size)), (name: "cursor", value: cursor)]
            let raw = try await send(APIRequest(.get, path, query: query + paging))
            let page: Page<Item> = try raw.decoded()
            let previous = cursor
            items += page.items
            documents += try raw.pageItems(count: page.items.count)
            cursor = page.nextCursor
            let isEnough = limit.map { items.count >= $0 } ?? false
            // An empty page may have a next one. A page that names itself as the next is the end of it all.
            if cursor == nil || isEnough || cursor == previous {
                return Listing(
                    items: items, documents: documents, wholeText: previous == nil ? raw.text : nil,
                    serverTime: raw.serverTime, hasMore: cursor != nil)
            }
        }
    }

    static func json(_ value: some Encodable) throws(APIFailure) -> APIRequest.Body {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return .json(String(decoding: try encoder.encode(value), as: UTF8.self))
        } catch {
            throw .unexpectedAnswer(address: "this client", detail: "the request cannot be written as JSON")
        }
    }
}
