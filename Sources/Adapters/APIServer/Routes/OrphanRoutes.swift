import APIContract
import ControlPlane
import Domain

/// `/v1/hosts/{host}/orphans`.
struct OrphanRoutes: Sendable {
    let services: APIServices
    private var hosts: HostService { services.hosts }

    private static let page = pageShape(of: OrphanResource.shape)
    private static let epoch = BodyField<Int>.integer(
        "epoch", in: 0...Int.max, isRequired: true, "Refused unless the orphan has this epoch.")
    private static let name = BodyField<String>.name("name", "The VM's name; unique among VMs.")
    private static let image = BodyField<String>.reference(
        "image", isRequired: true, "The id or name of the image that the VM was made from.")
    private static let cpus = BodyField<Int>.integer(
        "cpus", in: VMService.cpuLimits, of: "CPUs", "For a disk, which does not say it; a domain does.")
    private static let memory = BodyField<Int>.integer(
        "memory", in: VMService.memoryLimits, of: "MiB", "For a disk, which does not say it; a domain does.")

    var routes: [Route] { [index, remove, adopt] }

    private var index: Route {
        Route(
            .get, "/v1/hosts/{host}/orphans", named: "listOrphans",
            "Asks the host for what lies there and belongs to no record; all of it, on one page.",
            answer: .json(Self.page, "The orphans."), faults: [.notFound, .hostUnreachable, .libvirtUnavailable]
        ) { call in
            let found = try await hosts.orphans(on: call.value("host"))
            return .resource(Self.page, Page(items: found.map { OrphanResource($0) }, nextCursor: nil))
        }
    }

    private var remove: Route {
        Route(
            .post, "/v1/hosts/{host}/orphans/{vm}/actions/remove", named: "removeOrphan",
            "Leaves the removal to a GC job: of a live domain first, of the files once there is none.",
            body: .json(BodyShape("RemoveOrphanRequest", [Self.epoch])),
            answer: .json(GCJobResource.shape, "The GC job.", status: 202),
            faults: [
                .notFound, .hostUnreachable, .libvirtUnavailable, .staleEpoch, .invalidState, .operationInProgress,
                .placementUnresolved, .epochConflict,
            ]
        ) { call in
            let job = try await hosts.removeOrphan(
                call.value("host"), of: call.value("vm"), epoch: Epoch(Int64(try call.body.require(Self.epoch))),
                by: call.caller)
            return .resource(GCJobResource.shape, GCJobResource(job), status: .accepted).tagged(job.revision)
                .located("/v1/gc-jobs/\(job.id)")
        }
    }

    private var adopt: Route {
        Route(
            .post, "/v1/hosts/{host}/orphans/{vm}/actions/adopt", named: "adoptOrphan",
            "Makes a record of the VM: running where its domain runs, or stopped with the disk that lies there.",
            body: .json(BodyShape("AdoptOrphanRequest", [Self.name, Self.image, Self.cpus, Self.memory])),
            answer: .json(VMResource.shape, "The VM.", status: 201),
            faults: [
                .invalidField, .notFound, .nameTaken, .hostUnreachable, .libvirtUnavailable, .invalidState,
                .operationInProgress, .placementUnresolved, .epochConflict,
            ]
        ) { call in
            let adoption = Adoption(
                name: try call.body.require(Self.name), image: try call.body.require(Self.image),
                cpus: try call.body.optional(Self.cpus), memory: try call.body.optional(Self.memory))
            let view = try await hosts.adopt(call.value("host"), call.value("vm"), as: adoption, by: call.caller)
            return .resource(VMResource.shape, VMResource(view), status: .created).tagged(view.vm.revision)
                .located("/v1/vms/\(view.vm.id)")
        }
    }
}
