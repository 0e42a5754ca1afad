import APIContract
import ControlPlane
import Domain

/// What the server says of itself: version, document, health and metrics.
struct SystemRoutes: Sendable {
    let services: APIServices
    let metrics: Metrics
    let document: [UInt8]

    var routes: [Route] { [version, openAPI, health, readiness, metricsPage] }

    private var version: Route {
        Route(
            .get, "/v1/version", named: "showVersion", "The server's version.",
            answer: .json(VersionResource.shape, "The version.")
        ) { _ in
            .resource(VersionResource.shape, VersionResource(version: services.version, apiVersion: "v1"))
        }
    }

    private var openAPI: Route {
        Route(
            .get, "/v1/openapi.json", named: "showDocument", "This document.",
            answer: .init(status: 200, summary: "An OpenAPI 3.1 document.", content: .document)
        ) { _ in Answer(.ok, .bytes(document, type: "application/json")) }
    }

    private var health: Route {
        Route(
            .get, "/healthz", named: "showHealth", "Whether the process answers.", access: .open,
            answer: .other("text/plain", "It does.")
        ) { _ in .text(Array("ok\n".utf8)) }
    }

    private var readiness: Route {
        Route(
            .get, "/readyz", named: "showReadiness", "Whether the server can do its work: the database answers.",
            access: .open, answer: .other("text/plain", "It can."), faults: [.storeUnavailable]
        ) { _ in
            _ = try await services.events.latest()
            return .text(Array("ready\n".utf8))
        }
    }

    private var metricsPage: Route {
        Route(
            .get, "/metrics", named: "showMetrics", "Figures for Prometheus.", access: .open,
            answer: .other(Metrics.contentType, "Figures in Prometheus's text format."), faults: [.storeUnavailable]
        ) { _ in .text(Array(try await metrics.page().utf8), type: Metrics.contentType) }
    }
}
