package import HTTPTypes
package import Hummingbird

/// What a handler answers.
package struct Answer: Sendable {
    package var status: HTTPStatus
    package var headers: HTTPFields
    package var body: Body

    package enum Body: Sendable {
        case none
        case bytes([UInt8], type: String)
        /// Written bit by bit; the answer ends when the closure returns.
        case stream(type: String, @Sendable (inout any ResponseBodyWriter) async throws -> Void)
    }

    package init(_ status: HTTPStatus, _ body: Body, headers: HTTPFields = [:]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static func resource<Resource>(
        _ shape: ResourceShape<Resource>, _ resource: Resource, status: HTTPStatus = .ok
    ) -> Answer {
        Answer(status, .bytes(shape.json(resource).encoded, type: "application/json"))
    }

    static func text(_ bytes: [UInt8], type: String = "text/plain; charset=utf-8") -> Answer {
        Answer(.ok, .bytes(bytes, type: type))
    }

    /// The same answer with the resource's revision as its `ETag`.
    func tagged(_ revision: Int) -> Answer {
        var answer = self
        answer.headers[.eTag] = "\"\(revision)\""
        return answer
    }

    /// The same answer with the path at which the resource is found.
    func located(_ path: String) -> Answer {
        var answer = self
        answer.headers[.location] = path
        return answer
    }
}

package typealias HTTPStatus = HTTPResponse.Status
