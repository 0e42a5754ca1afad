package import Domain
package import HTTPTypes

/// One method of one path: what registers it, what describes it, and what answers it.
package struct Route: Sendable {
    package let method: HTTPRequest.Method
    package let path: PathTemplate
    /// Unique; the operation's name in the API's document.
    package let name: String
    package let summary: String
    package let access: Access
    package let query: [any QueryFieldDescription]
    package let body: Body
    package let answer: AnswerDescription
    /// Besides those that any request can meet.
    package let faults: [FaultCode]
    let handle: @Sendable (Call) async throws -> Answer

    package enum Access: Sendable { case token, open }

    package enum Body: Sendable {
        /// A body is refused.
        case none
        case json(BodyShape)
        /// A file, streamed.
        case file
    }

    package struct AnswerDescription: Sendable {
        package let status: Int
        package let summary: String
        package let content: Content

        package enum Content: Sendable {
            case json(any ResourceShapeDescription)
            case nothing
            /// JSON that no shape describes.
            case document
            case other(type: String)
        }

        static func json(
            _ shape: any ResourceShapeDescription, _ summary: String, status: Int = 200
        ) -> AnswerDescription {
            AnswerDescription(status: status, summary: summary, content: .json(shape))
        }

        static func other(_ type: String, _ summary: String) -> AnswerDescription {
            AnswerDescription(status: 200, summary: summary, content: .other(type: type))
        }
    }

    init(
        _ method: HTTPRequest.Method, _ path: PathTemplate, named name: String, _ summary: String,
        access: Access = .token, query: [any QueryFieldDescription] = [], body: Body = .none,
        answer: AnswerDescription, faults: [FaultCode] = [],
        handle: @escaping @Sendable (Call) async throws -> Answer
    ) {
        self.method = method
        self.path = path
        self.name = name
        self.summary = summary
        self.access = access
        self.query = query
        self.body = body
        self.answer = answer
        self.faults = faults
        self.handle = handle
    }

    /// Whether a server that only observes refuses it: all changes but the one that ends the observing.
    var isForbiddenToObservers: Bool { method != .get && name != RecoveryRoutes.acceptance }

    /// Whether `Idempotency-Key` means something here.
    var takesIdempotencyKey: Bool { access == .token && (method == .post || method == .delete) }
}

/// A path with places for values: `/v1/vms/{vm}`.
package struct PathTemplate: Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    package let description: String
    private let segments: [Segment]

    private enum Segment: Sendable {
        case fixed(String)
        case value(String)
    }

    package init(stringLiteral text: String) {
        description = text
        segments = text.split(separator: "/").map { part in
            part.hasPrefix("{") ? .value(String(part.dropFirst().dropLast())) : .fixed(String(part))
        }
    }

    package var valueNames: [String] {
        segments.compactMap { segment in
            if case .value(let name) = segment { name } else { nil }
        }
    }

    /// The values that stand in `path`, if it has this form.
    func match(_ path: [String]) -> [String: String]? {
        guard path.count == segments.count else { return nil }
        var values: [String: String] = [:]
        for (segment, part) in zip(segments, path) {
            switch segment {
            case .fixed(let text): guard text == part else { return nil }
            case .value(let name): values[name] = part
            }
        }
        return values
    }
}
