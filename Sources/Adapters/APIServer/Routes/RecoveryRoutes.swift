import APIContract
import ControlPlane

/// `/v1/recovery`.
struct RecoveryRoutes: Sendable {
    let services: APIServices

    /// The name of the one change that is possible while the server only observes.
    static let acceptance = "acceptRecovery"

    var routes: [Route] { [show, accept] }

    private var show: Route {
        Route(
            .get, "/v1/recovery", named: "showRecovery",
            "Shows whether restored records wait to be accepted, and where they differ from the hosts.",
            answer: .json(RecoveryResource.shape, "The recovery.")
        ) { _ in .resource(RecoveryResource.shape, RecoveryResource(try await services.recovery.report())) }
    }

    private var accept: Route {
        Route(
            .post, "/v1/recovery/actions/accept", named: Self.acceptance,
            "Accepts restored records: raises all epochs above those that were seen, and acts again.",
            answer: .json(RecoveryResource.shape, "What is left."), faults: [.invalidState]
        ) { call in
            let report = try await services.recovery.accept(by: call.caller)
            return .resource(RecoveryResource.shape, RecoveryResource(report))
        }
    }
}
