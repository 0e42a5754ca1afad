import APIContract
import ControlPlane

/// `/v1/nodes`.
struct NodeRoutes: Sendable {
    let services: APIServices

    private static let page = pageShape(of: NodeResource.shape)

    var routes: [Route] { [index] }

    private var index: Route {
        Route(
            .get, "/v1/nodes", named: "listNodes", "Lists the servers of this database; all of them, on one page.",
            answer: .json(Self.page, "The nodes.")
        ) { _ in
            let found = try await services.nodes.nodes()
            return .resource(Self.page, Page(items: found.map { NodeResource($0) }, nextCursor: nil))
        }
    }
}
