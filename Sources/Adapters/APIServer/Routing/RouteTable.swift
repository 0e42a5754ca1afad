package import HTTPTypes

/// All routes: the one place that knows which paths there are.
package struct RouteTable: Sendable {
    package let routes: [Route]

    package init(_ routes: [Route]) { self.routes = routes }

    package struct Match: Sendable {
        package let route: Route
        package let values: [String: String]
    }

    package enum Lookup: Sendable {
        case found(Match)
        case noSuchPath
        /// The path is there, with these methods.
        case otherMethods([HTTPRequest.Method])
    }

    package func lookUp(_ method: HTTPRequest.Method, _ path: Substring) -> Lookup {
        var parts: [String] = []
        for part in path.split(separator: "/") {
            guard let decoded = percentDecoded(part) else { return .noSuchPath }
            parts.append(decoded)
        }
        var others: [HTTPRequest.Method] = []
        for route in routes {
            guard let values = route.path.match(parts) else { continue }
            if route.method == method { return .found(Match(route: route, values: values)) }
            others.append(route.method)
        }
        return others.isEmpty ? .noSuchPath : .otherMethods(others)
    }
}
