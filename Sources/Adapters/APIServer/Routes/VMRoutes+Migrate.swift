import APIContract
import ControlPlane
import Domain

extension VMRoutes {
    private static let live = BodyField<Bool>.flag(
        "live", "Whether the guest goes on all the while, as it does by default; else it is stopped and started there.")
    private static let copyStorage = BodyField<Bool>.flag(
        "copyStorage", "Copy the root disk to the destination's own pool.")
    private static let autoConverge = BodyField<Bool>.flag(
        "autoConverge", "Slow a guest down that changes its memory faster than it can be copied.")
    private static let postCopy = BodyField<Bool>.flag(
        "postCopy",
        "When the time is up, let the guest go on there before all of its memory is: a broken network then "
            + "costs the guest.")
    private static let timeout = BodyField<Int>.integer(
        "timeout", in: MigrationOptions.timeoutLimits, of: "seconds",
        "How long may be copied before the move is given up, or turns to post-copy; 3600 by default.")
    private static let stopTimeout = BodyField<Int>.integer(
        "stopTimeout", in: StopRequest.timeoutLimits, of: "seconds",
        "The guest's own time to power off, for a move that is not live; 120 by default.")

    var migrate: Route {
        Route(
            .post, "/v1/vms/{vm}/actions/migrate", named: "migrateVM", "Moves the guest to another host.",
            query: [OperationAnswer.wait],
            body: .json(
                BodyShape(
                    "MigrateVMRequest",
                    [
                        Self.host, Self.live, Self.copyStorage, Self.autoConverge, Self.postCopy, Self.timeout,
                        Self.stopTimeout,
                    ])),
            answer: .json(OperationResource.shape, "The accepted operation.", status: 202),
            faults: [
                .notFound, .invalidField, .invalidState, .operationInProgress, .noCapacity, .diskElsewhere,
                .hostUnreachable, .libvirtUnavailable, .migrationImpossible,
            ]
        ) { call in
            var request = MigrateRequest(host: try call.body.optional(Self.host))
            request.isLive = try call.body.optional(Self.live) ?? true
            request.options.copiesStorage = try call.body.optional(Self.copyStorage) ?? false
            request.options.autoConverges = try call.body.optional(Self.autoConverge) ?? false
            request.options.allowsPostCopy = try call.body.optional(Self.postCopy) ?? false
            if let timeout = try call.body.optional(Self.timeout) { request.options.timeout = timeout }
            if let timeout = try call.body.optional(Self.stopTimeout) { request.stopTimeout = timeout }
            let job = try await vms.migrate(call.value("vm"), request, by: call.caller)
            return try await operations.accepted(job, call)
        }
    }
}
