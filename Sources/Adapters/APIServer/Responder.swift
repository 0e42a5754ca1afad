import APIContract
import ControlPlane
import Crypto
import Domain
package import HTTPTypes
import Hummingbird
package import Logging
import NIOCore

/// Answers requests: finds the route, asks for the token, reads what the route takes, and turns every error into a problem.
package struct Responder: Sendable {
    private let services: APIServices
    private let table: RouteTable
    private let metrics: Metrics
    private let limits: HTTPLimits
    private let logger: Logger

    package init(_ services: APIServices, limits: HTTPLimits, logger: Logger) {
        let metrics = Metrics(services)
        self.services = services
        self.metrics = metrics
        self.limits = limits
        self.logger = logger
        table = Self.table(services, metrics: metrics, limits: limits)
    }

    /// The one table: it registers the routes, and the document is made from it.
    package static func table(_ services: APIServices, metrics: Metrics, limits: HTTPLimits) -> RouteTable {
        let routes =
            VMRoutes(services: services).routes + HostRoutes(services: services).routes
            + OrphanRoutes(services: services).routes
            + ImageRoutes(services: services, fileBytesMax: limits.fileBytes).routes
            + JobRoutes(services: services).routes
            + RecoveryRoutes(services: services).routes + NodeRoutes(services: services).routes
            + EventRoutes(services: services, heartbeat: limits.heartbeat).routes
        // The document names its own route too, so it is made from the routes before they are complete.
        let described = routes + SystemRoutes(services: services, metrics: metrics, document: []).routes
        let document = OpenAPIDocument.make(described, version: services.version).encoded
        return RouteTable(routes + SystemRoutes(services: services, metrics: metrics, document: document).routes)
    }

    /// The answer to `request`, complete with the headers that every answer has. Never throws: a failure is an answer too.
    func answer(_ request: Request, _ body: BodyBytes, on channel: any Channel) async -> Answer {
        let start = services.time.monotonic()
        let id = services.ids.uuid()
        var answer: Answer
        do {
            answer = try await carryOut(request, body, on: channel)
        } catch {
            let fault = Fault(answering: error)
            if fault.kind == .bug {
                logger.error(
                    "The request failed.",
                    metadata: [
                        "request": "\(id)", "method": "\(request.method)", "path": "\(request.uri.path)",
                        "error": "\(String(reflecting: error))",
                    ])
            }
            answer = refusal(fault, of: request)
        }
        answer.headers[.date] = services.time.wall().httpDate
        answer.headers[.cacheControl] = "no-store"
        answer.headers[.xContentTypeOptions] = "nosniff"
        answer.headers[named: "x-request-id"] = id
        metrics.answered(request.method.counted, answer.status.code)
        logger.debug(
            "The request is answered.",
            metadata: [
                "request": "\(id)", "method": "\(request.method)", "path": "\(request.uri.path)",
                "status": "\(answer.status.code)",
                "milliseconds": "\((services.time.monotonic() - start).wholeMilliseconds)",
            ])
        return answer
    }

    private func refusal(_ fault: Fault, of request: Request) -> Answer {
        var answer = Answer(
            HTTPStatus(code: fault.status),
            .bytes(Problem.shape.json(fault.problem).encoded, type: "application/problem+json"))
        switch fault.status {
        case 401:
            let isWrong = request.headers[.authorization] != nil
            answer.headers[.wwwAuthenticate] =
                isWrong ? #"Bearer realm="roost", error="invalid_token""# : #"Bearer realm="roost""#
        case 405: answer.headers[.allow] = allowed(request)
        case 503: answer.headers[.retryAfter] = "5"
        default: break
        }
        return answer
    }

    private func allowed(_ request: Request) -> String {
        guard case .otherMethods(let methods) = table.lookUp(request.method, request.uri.path[...]) else { return "" }
        let names = methods.map(\.rawValue)
        return (names.contains("GET") ? ["GET", "HEAD"] + names.filter { $0 != "GET" } : names).joined(separator: ", ")
    }

    private func carryOut(_ request: Request, _ body: BodyBytes, on channel: any Channel) async throws -> Answer {
        let method: HTTPRequest.Method = request.method == .head ? .get : request.method
        let lookup = table.lookUp(method, request.uri.path[...])
        // Without a right to be here nobody learns which paths there are.
        var principal: Principal?
        if request.uri.path == "/v1" || request.uri.path.hasPrefix("/v1/") {
            principal = try await authenticate(request)
        }
        switch lookup {
        case .found(let match):
            if match.route.isForbiddenToObservers { try await services.recovery.checkActing() }
            let call = try await call(match, request, body, by: principal, on: channel)
            return try await match.route.handle(call)
        case .noSuchPath:
            throw Fault(
                .notFound, .notFound, "There is nothing at \(request.uri.path.prefix(200)).",
                hint: "GET /v1/openapi.json lists all paths.")
        case .otherMethods:
            throw Fault(
                .invalid, .methodNotAllowed,
                "The method \(request.method.rawValue.prefix(20)) is not allowed here.",
                hint: "The Allow header says which are.")
        }
    }

    /// Only hashes of tokens are stored and compared, so how long it takes tells nothing of a token.
    private func authenticate(_ request: Request) async throws -> Principal {
        let token = try RequestHeaders.bearerToken(request.headers)
        let hash = hex(SHA256.hash(data: Array(token.utf8)))
        guard let principal = try await services.authenticator.principal(tokenHash: hash) else {
            throw Fault(
                .unauthenticated, .unauthenticated, "The token is not valid.",
                hint: "Use the token that the server wrote into its data directory at its first start.")
        }
        return principal
    }

    private func call(
        _ match: RouteTable.Match, _ request: Request, _ body: BodyBytes, by principal: Principal?,
        on channel: any Channel
    ) async throws -> Call {
        let route = match.route
        let query = try QueryValues(request.uri.query ?? "", knowing: route.query)
        let isChange = request.method != .get && request.method != .head
        let key = route.takesIdempotencyKey ? try RequestHeaders.idempotencyKey(request.headers) : nil
        let ifMatch = isChange ? try RequestHeaders.ifMatch(request.headers) : nil
        var bytes: [UInt8] = []
        var shape = BodyShape.empty
        switch route.body {
        case .file: break
        case .none: bytes = isChange ? try await collect(body, request, on: channel) : []
        case .json(let wanted):
            shape = wanted
            bytes = try await collect(body, request, on: channel)
        }
        let read = try JSONBody(bytes, shape: shape)
        let caller = Caller(
            principal: principal ?? Principal(name: "anonymous"),
            request: key.map { Caller.RequestKey(key: $0, digest: digest(request, bytes)) }, ifMatch: ifMatch)
        return Call(
            caller: caller, values: match.values, query: query, body: read, upload: body,
            lastEventID: request.headers[named: "last-event-id"])
    }

    /// The whole JSON body. A sender that takes too long over it loses its connection.
    private func collect(_ body: BodyBytes, _ request: Request, on channel: any Channel) async throws -> [UInt8] {
        let deadline = channel.eventLoop.scheduleTask(in: TimeAmount(limits.bodyTime)) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        let bytes = try await body.collect(upTo: limits.bodyBytes)
        if !bytes.isEmpty { try RequestHeaders.checkJSON(request.headers, isPatch: request.method == .patch) }
        return bytes
    }

    /// What makes two requests the same: method, path, query and body. How long the caller wants to wait does not.
    private func digest(_ request: Request, _ bytes: [UInt8]) -> String {
        let query = (request.uri.query ?? "").split(separator: "&").filter { !$0.hasPrefix("wait=") }
        var hash = SHA256()
        hash.update(
            data: Array("\(request.method.rawValue)\n\(request.uri.path)?\(query.joined(separator: "&"))\n".utf8))
        hash.update(data: bytes)
        return hex(hash.finalize())
    }
}

func hex(_ digest: SHA256Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self)
}

extension HTTPRequest.Method {
    /// The method as metrics count it: callers cannot make up new ones without end.
    fileprivate var counted: String {
        switch self {
        case .get, .head, .post, .put, .patch, .delete: rawValue
        default: "other"
        }
    }
}

extension HTTPFields {
    /// A field that has no constant of its own. `name` must be a valid field name; others are never there.
    package subscript(named name: String) -> String? {
        get { HTTPField.Name(name).flatMap { self[$0] } }
        set {
            guard let name = HTTPField.Name(name) else { return }
            self[name] = newValue
        }
    }
}
