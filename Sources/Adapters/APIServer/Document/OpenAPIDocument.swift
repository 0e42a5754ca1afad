import APIContract
import Domain

/// The API's own description, made from the routes that answer.
package enum OpenAPIDocument {
    package static func make(_ routes: [Route], version: String) -> JSONValue {
        let paths = routes.map(\.path.description).uniqued().map { path in
            JSONValue.Member(path, pathItem(routes.filter { $0.path.description == path }))
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Roost", "version": .string(version),
                "description": "Runs virtual machines on a fleet of KVM hosts.",
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/"]],
            "security": [["bearer": []]],
            "paths": .object(paths),
            "components": [
                "securitySchemes": ["bearer": ["type": "http", "scheme": "bearer"]],
                "schemas": schemas(routes),
                "responses": ["Problem": problemResponse("What went wrong.", codes: [])],
            ],
        ]
    }

    private static func pathItem(_ routes: [Route]) -> JSONValue {
        .object(routes.map { JSONValue.Member($0.method.rawValue.lowercased(), operation($0)) })
    }

    private static func operation(_ route: Route) -> JSONValue {
        var members = [
            JSONValue.Member("operationId", .string(route.name)), JSONValue.Member("summary", .string(route.summary)),
            JSONValue.Member("parameters", .array(parameters(route))),
        ]
        if let body = requestBody(route) { members.append(JSONValue.Member("requestBody", body)) }
        members.append(JSONValue.Member("responses", responses(route)))
        switch route.access {
        case .open: members.append(JSONValue.Member("security", .array([])))
        case .token: break
        }
        return .object(members)
    }

    private static func parameters(_ route: Route) -> [JSONValue] {
        var parameters = route.path.valueNames.map { name in
            parameter(name, in: "path", isRequired: true, "Id or name.", ["type": "string"])
        }
        parameters += route.query.map { parameter($0.name, in: "query", $0.summary, $0.schema) }
        if route.takesIdempotencyKey {
            parameters.append(
                parameter(
                    "Idempotency-Key", in: "header", "The same key and request are accepted once.",
                    ["type": "string", "maxLength": .integer(RequestHeaders.idempotencyKeyLengthMax)]))
        }
        if route.method != .get, route.access == .token {
            parameters.append(
                parameter(
                    "If-Match", in: "header", "The ETag that the resource must still have.", ["type": "string"]))
        }
        return parameters
    }

    private static func parameter(
        _ name: String, in place: String, isRequired: Bool = false, _ summary: String, _ schema: JSONValue
    ) -> JSONValue {
        [
            "name": .string(name), "in": .string(place), "required": .bool(isRequired),
            "description": .string(summary), "schema": schema,
        ]
    }

    private static func requestBody(_ route: Route) -> JSONValue? {
        switch route.body {
        case .none: nil
        case .file:
            [
                "required": true,
                "content": ["application/octet-stream": ["schema": ["type": "string", "format": "binary"]]],
            ]
        case .json(let shape):
            [
                "required": .bool(!shape.isOptional),
                "content": .object(
                    (route.method == .patch
                        ? ["application/json", "application/merge-patch+json"] : ["application/json"]).map {
                            JSONValue.Member($0, ["schema": reference(shape.name)])
                        }),
            ]
        }
    }

    private static func responses(_ route: Route) -> JSONValue {
        var members = [JSONValue.Member(String(route.answer.status), answer(route.answer))]
        let general: [FaultCode] =
            (route.access == .token ? [.unauthenticated] : []) + (route.isForbiddenToObservers ? [.recovering] : [])
        let faults = Dictionary(grouping: (route.faults + general + route.bodyFaults).uniqued(), by: \.usualStatus)
        for (status, codes) in faults.sorted(by: { $0.key < $1.key }) {
            let codes = codes.map(\.rawValue).sorted()
            members.append(
                JSONValue.Member(
                    String(status), problemResponse("`\(codes.joined(separator: "`, `"))`.", codes: codes)))
        }
        members.append(JSONValue.Member("default", ["$ref": "#/components/responses/Problem"]))
        return .object(members)
    }

    private static func answer(_ answer: Route.AnswerDescription) -> JSONValue {
        let summary = JSONValue.string(answer.summary)
        switch answer.content {
        case .nothing: return ["description": summary]
        case .document:
            return ["description": summary, "content": ["application/json": ["schema": ["type": "object"]]]]
        case .json(let shape):
            return ["description": summary, "content": ["application/json": ["schema": reference(shape.name)]]]
        case .other(let type):
            let content = JSONValue.Member(type, ["schema": ["type": "string"]])
            return ["description": summary, "content": .object([content])]
        }
    }

    private static func problemResponse(_ summary: String, codes: [String]) -> JSONValue {
        ["description": .string(summary), "content": ["application/problem+json": ["schema": reference("Problem")]]]
    }

    private static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }

    private static func schemas(_ routes: [Route]) -> JSONValue {
        var schemas: [String: JSONValue] = [Problem.shape.name: Problem.shape.schema]
        for route in routes {
            if case .json(let shape) = route.answer.content {
                for shape in [shape] + shape.nested { schemas[shape.name] = shape.schema }
            }
            if case .json(let shape) = route.body { schemas[shape.name] = schema(of: shape) }
        }
        return .object(schemas.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, $0.value) })
    }

    private static func schema(of shape: BodyShape) -> JSONValue {
        let properties = shape.fields.map { field in
            JSONValue.Member(
                field.name, .object(field.schema.members + [JSONValue.Member("description", .string(field.summary))]))
        }
        return [
            "type": "object", "properties": .object(properties),
            "required": .array(shape.fields.filter(\.isRequired).map { .string($0.name) }),
            "additionalProperties": false,
        ]
    }
}

extension Route {
    /// What reading the request can end in.
    fileprivate var bodyFaults: [FaultCode] {
        switch body {
        case .none: []
        case .json: [.invalidBody, .invalidField, .bodyTooLarge, .idempotencyKeyReused]
        case .file: [.invalidBody]
        }
    }
}

extension FaultCode {
    /// The status that the document names for this code.
    fileprivate var usualStatus: Int {
        switch self {
        case .invalidBody, .invalidField: 400
        case .unauthenticated: 401
        case .forbidden: 403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .eventsExpired: 410
        case .revisionMismatch: 412
        case .bodyTooLarge: 413
        case .idempotencyKeyReused, .imageInvalid: 422
        case .internalError: 500
        case .hostUnreachable, .libvirtUnavailable, .storeUnavailable: 503
        case .affinity, .alreadyConnected, .antiAffinity, .commandFailed, .diskElsewhere, .domainNotFound,
            .epochConflict, .hostDeleted, .hostInUse, .imageInUse, .imageNotReady, .invalidState, .joinTokenInvalid,
            .labelsMismatch, .migrationImpossible, .nameAmbiguous, .nameTaken, .noCapacity, .operationInProgress,
            .outcomeUnknown, .placementUnresolved, .protocolMismatch, .recovering, .staleEpoch,
            .staleSession, .superseded, .unnamed:
            409
        }
    }
}

extension Sequence where Element: Hashable {
    /// The elements in order, each once.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
