import APIContract
import ControlPlane
import Domain

extension HostRoutes {
    private static let stopImmovable = BodyField<Bool>.flag(
        "stopImmovable",
        "Stop the VMs that cannot be moved: by their power button, and after 120 seconds by cutting the power.")

    var maintain: Route {
        Route(
            .post, "/v1/hosts/{host}/actions/maintain", named: "maintainHost",
            "Gives the host no new VMs, and moves those that run there to other hosts.",
            query: [OperationAnswer.wait],
            body: .json(BodyShape("MaintainHostRequest", [Self.stopImmovable])),
            answer: .json(
                OperationResource.shape, "The drain; the same one as long as it is open.", status: 202),
            faults: [.notFound, .invalidField]
        ) { call in
            let stopsImmovable = try call.body.optional(Self.stopImmovable) ?? false
            let job = try await hosts.maintain(call.value("host"), stopsImmovable: stopsImmovable, by: call.caller)
            return try await OperationAnswer(jobs: services.jobs).accepted(job, call)
        }
    }

    var drainPlan: Route {
        Route(
            .get, "/v1/hosts/{host}/drain-plan", named: "planDrain",
            "What a drain of the host would do with each VM now; changes and reserves nothing.",
            answer: .json(DrainPlanResource.shape, "The plan."), faults: [.notFound]
        ) { call in
            .resource(DrainPlanResource.shape, DrainPlanResource(try await hosts.drainPlan(of: call.value("host"))))
        }
    }
}
