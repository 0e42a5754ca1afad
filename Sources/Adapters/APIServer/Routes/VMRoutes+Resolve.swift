import APIContract
import ControlPlane
import Domain

extension VMRoutes {
    private static let adopt = BodyField<String>.reference(
        "adopt", "The domain that this host (id or name) shows is the VM's from now on.")
    private static let stop = BodyField<String>.reference("stop", "The domain that this host shows is to be ended.")
    private static let gone = BodyField<Bool>.flag(
        "gone", "The VM, which was moved away behind Roost's back, runs nowhere.")
    private static let proof = BodyField<String>.text(
        "proof", upTo: 1000, "How you know that it runs nowhere; kept in the audit log.")

    var resolve: Route {
        Route(
            .post, "/v1/vms/{vm}/actions/resolve", named: "resolveVM",
            "Settles a conflict: exactly one of adopt, stop and gone. A GC job does what is to be done on a host.",
            body: .json(BodyShape("ResolveVMRequest", [Self.adopt, Self.stop, Self.gone, Self.proof])),
            answer: .json(VMResource.shape, "The VM."),
            faults: [
                .notFound, .invalidField, .invalidState, .operationInProgress, .domainNotFound, .epochConflict,
                .placementUnresolved,
            ]
        ) { call in
            .vm(.ok, try await vms.resolve(call.value("vm"), try Self.resolution(call.body), by: call.caller))
        }
    }

    private static func resolution(_ body: JSONBody) throws -> Resolution {
        let proof = try body.optional(proof)
        switch (try body.optional(adopt), try body.optional(stop), try body.optional(gone) ?? false) {
        case (let host?, nil, false): return .adopt(host: host)
        case (nil, let host?, false): return .stop(host: host)
        case (nil, nil, true):
            guard let proof else { throw Fault.invalid("proof", "is required, to say how you know it.") }
            return .gone(proof: proof)
        default:
            throw Fault.invalid("adopt", "exactly one of adopt, stop and gone has to be given.")
        }
    }
}
