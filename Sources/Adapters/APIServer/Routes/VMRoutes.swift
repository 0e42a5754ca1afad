import APIContract
import ControlPlane
import Domain

/// `/v1/vms`.
struct VMRoutes: Sendable {
    let services: APIServices
    var vms: VMService { services.vms }
    var operations: OperationAnswer { OperationAnswer(jobs: services.jobs) }

    private static let list = ListParameters(
        filters: [
            .choice("state", of: VMState.Label.allCases.map(\.rawValue), "Only VMs in this state."),
            .text("host", upTo: Name.longest, "Only VMs placed on this host (id or name)."),
            .text("name", upTo: Name.longest, "Only the VM of this name."),
            .text("image", upTo: Name.longest, "Only VMs made from this image (id or name)."),
            .label("VMs"),
        ], sorts: ["name", "createdAt", "updatedAt"])
    private static let page = pageShape(of: VMResource.shape)
    private static let consoleLimit = QueryField<Int64>.integer(
        "limit", in: 1...1_048_576, "At most so many bytes, from the log's end; 64 KiB by default.")
    private static let deferred = QueryField<Bool>.flag(
        "defer", "Leave it to a GC job when the host cannot be reached.")
    private static let expunge = QueryField<Bool>.flag(
        "expunge", "Keep nothing: remove the root disk and the record too.")
    private static let name = BodyField<String>.name("name", "Unique among VMs.")
    private static let newName = BodyField<String>.name(
        "name", isRequired: false, "What it is called from now on; its own name by default.")
    private static let image = BodyField<String>.reference("image", isRequired: true, "The image's id or name.")
    private static let cpus = BodyField<Int>.integer(
        "cpus", in: VMService.cpuLimits, of: "CPUs", isRequired: true, "Virtual CPUs.")
    private static let memory = BodyField<Int>.integer(
        "memory", in: VMService.memoryLimits, of: "MiB", isRequired: true, "MiB.")
    private static let labels = BodyField<Labels>.labels("labels", "What people say of it.")
    private static let rules = BodyField<PlacementRules>.placementRules("placement")
    static let host = BodyField<String>.reference("host", "The host's id or name; any with room by default.")
    private static let mode = BodyField<StopMode>.choice("mode", "How hard; `grace` by default.")
    private static let timeout = BodyField<Int>.integer(
        "timeout", in: StopRequest.timeoutLimits, of: "seconds",
        "The guest's own time for a graceful stop; 120 by default.")
    private static let rebootTime = BodyField<Int>.integer(
        "timeout", in: StopRequest.timeoutLimits, of: "seconds", "The guest's own time; 120 by default.")
    private static let leave = BodyField<Bool>.flag(
        "defer", "Leave it to a GC job when the host cannot be reached or the outcome is unknown.")
    private static let expectedHost = BodyField<String>.reference(
        "expectedHost", "Refused unless the VM is placed on this host (id or name).")
    private static let expectedEpoch = BodyField<Int>.integer(
        "expectedEpoch", in: 1...Int.max, "Refused unless the VM's placement has this epoch.")

    var routes: [Route] {
        [index, create, plan, show, patch, delete, recover, expunge, start, stop, migrate, resolve]
            + GuestControl.allCases.map(control) + [consoleLog]
    }

    private var index: Route {
        Route(
            .get, "/v1/vms", named: "listVMs", "Lists VMs, a page at a time.", query: Self.list.fields,
            answer: .json(Self.page, "A page of VMs."), faults: [.invalidField]
        ) { call in
            let query = try Self.list.query(call.query)
            let found = try await vms.vms(query)
            return .resource(
                Self.page,
                Page(
                    items: found.items.map { VMResource($0) }, nextCursor: ListParameters.cursor(found.next, of: query))
            )
        }
    }

    private var create: Route {
        Route(
            .post, "/v1/vms", named: "createVM", "Records a VM; start brings it to life.",
            body: .json(
                BodyShape("CreateVMRequest", [Self.name, Self.image, Self.cpus, Self.memory, Self.labels, Self.rules])),
            answer: .json(VMResource.shape, "The new VM.", status: 201),
            faults: [.invalidField, .nameTaken, .notFound, .imageNotReady]
        ) { call in
            let new = NewVM(
                name: try call.body.require(Self.name), image: try call.body.require(Self.image),
                cpus: try call.body.require(Self.cpus), memory: try call.body.require(Self.memory),
                labels: try call.body.optional(Self.labels) ?? .none,
                rules: try call.body.optional(Self.rules) ?? .none)
            let view = try await vms.create(new, by: call.caller)
            return .vm(.created, view).located("/v1/vms/\(view.vm.id)")
        }
    }

    private var plan: Route {
        Route(
            .post, "/v1/placements", named: "planPlacement",
            "Says where a VM like this would start now, and why; places nothing.",
            body: .json(BodyShape("PlanPlacementRequest", [Self.cpus, Self.memory, Self.labels, Self.rules])),
            answer: .json(PlacementResource.shape, "What speaks for and against each host."), faults: [.invalidField]
        ) { call in
            let verdicts = try await vms.plan(
                cpus: try call.body.require(Self.cpus), memory: try call.body.require(Self.memory),
                labels: try call.body.optional(Self.labels) ?? .none,
                rules: try call.body.optional(Self.rules) ?? .none)
            return .resource(PlacementResource.shape, PlacementResource(verdicts))
        }
    }

    private var show: Route {
        Route(
            .get, "/v1/vms/{vm}", named: "showVM", "Shows a VM.", answer: .json(VMResource.shape, "The VM."),
            faults: [.notFound, .nameAmbiguous]
        ) { call in .vm(.ok, try await vms.vm(call.value("vm"))) }
    }

    private var patch: Route {
        Route(
            .patch, "/v1/vms/{vm}", named: "patchVM", "Changes the VM's labels, as a JSON merge patch.",
            body: .json(BodyShape("PatchVMRequest", [BodyField<LabelPatch>.labelPatch])),
            answer: .json(VMResource.shape, "The VM."),
            faults: [.invalidField, .notFound, .invalidState, .revisionMismatch]
        ) { call in .vm(.ok, try await vms.label(call.value("vm"), call.body.labelPatch(), by: call.caller)) }
    }

    private var delete: Route {
        Route(
            .delete, "/v1/vms/{vm}", named: "deleteVM",
            "Ends the VM's domain; keeps its root disk and its record for a time, in which it can be recovered.",
            query: [Self.deferred, Self.expunge, OperationAnswer.wait],
            answer: .json(OperationResource.shape, "The accepted operation.", status: 202),
            faults: [
                .notFound, .nameAmbiguous, .invalidState, .operationInProgress, .hostUnreachable, .libvirtUnavailable,
            ]
        ) { call in
            let isDeferrable = try call.query.optional(Self.deferred) ?? false
            let expunges = try call.query.optional(Self.expunge) ?? false
            let job = try await vms.destroy(
                call.value("vm"), isDeferrable: isDeferrable, expunges: expunges, by: call.caller)
            return try await operations.accepted(job, call)
        }
    }

    private var recover: Route {
        Route(
            .post, "/v1/vms/{vm}/actions/recover", named: "recoverVM",
            "Brings a destroyed VM back while it is kept: stopped, with its disk.", query: [OperationAnswer.wait],
            body: .json(BodyShape("RecoverVMRequest", [Self.newName])),
            answer: .json(OperationResource.shape, "The accepted operation.", status: 202),
            faults: [.notFound, .nameAmbiguous, .invalidState, .nameTaken]
        ) { call in
            let name = try call.body.optional(Self.newName)
            let job = try await vms.recover(call.value("vm"), as: name, by: call.caller)
            return try await operations.accepted(job, call)
        }
    }

    private var expunge: Route {
        Route(
            .post, "/v1/vms/{vm}/actions/expunge", named: "expungeVM",
            "Gives a destroyed VM up before its time: removes its root disk, then its record.",
            query: [OperationAnswer.wait], body: .json(.empty),
            answer: .json(OperationResource.shape, "The accepted operation.", status: 202),
            faults: [.notFound, .nameAmbiguous, .invalidState]
        ) { call in
            let job = try await vms.expunge(call.value("vm"), by: call.caller)
            return try await operations.accepted(job, call)
        }
    }

    private var start: Route {
        Route(
            .post, "/v1/vms/{vm}/actions/start", named: "startVM", "Starts the VM.", query: [OperationAnswer.wait],
            body: .json(BodyShape("StartVMRequest", [Self.host])),
            answer: .json(OperationResource.shape, "The accepted operation.", status: 202),
            faults: [
                .notFound, .invalidState, .operationInProgress, .placementUnresolved, .noCapacity, .diskElsewhere,
                .labelsMismatch, .affinity, .antiAffinity, .hostUnreachable, .libvirtUnavailable,
            ]
        ) { call in
            let host = try call.body.optional(Self.host)
            let job = try await vms.start(call.value("vm"), on: host, by: call.caller)
            return try await operations.accepted(job, call)
        }
    }

    private var stop: Route {
        Route(
            .post, "/v1/vms/{vm}/actions/stop", named: "stopVM", "Stops the VM.", query: [OperationAnswer.wait],
            body: .json(
                BodyShape(
                    "StopVMRequest", [Self.mode, Self.timeout, Self.leave, Self.expectedHost, Self.expectedEpoch])),
            answer: .json(OperationResource.shape, "The accepted operation.", status: 202),
            faults: [
                .notFound, .invalidState, .operationInProgress, .hostUnreachable, .libvirtUnavailable, .superseded,
                .staleEpoch,
            ]
        ) { call in
            var request = StopRequest()
            if let mode = try call.body.optional(Self.mode) { request.mode = mode }
            if let timeout = try call.body.optional(Self.timeout) { request.timeout = timeout }
            request.isDeferrable = try call.body.optional(Self.leave) ?? false
            request.expectedHost = try call.body.optional(Self.expectedHost)
            request.expectedEpoch = try call.body.optional(Self.expectedEpoch).map { Epoch(Int64($0)) }
            let job = try await vms.stop(call.value("vm"), request, by: call.caller)
            return try await operations.accepted(job, call)
        }
    }

    private func control(_ control: GuestControl) -> Route {
        let summary =
            switch control {
            case .pause: "Halts the guest's CPUs; its memory stays."
            case .resume: "Lets a paused guest go on."
            case .reboot: "Asks the guest to boot anew, and resets it when its time is up."
            case .reset: "Presses the guest's reset button: it boots anew in the same domain."
            }
        return Route(
            .post, PathTemplate(stringLiteral: "/v1/vms/{vm}/actions/\(control.rawValue)"),
            named: "\(control.rawValue)VM", summary,
            query: [OperationAnswer.wait],
            body: .json(control == .reboot ? BodyShape("RebootVMRequest", [Self.rebootTime]) : .empty),
            answer: .json(OperationResource.shape, "The accepted operation.", status: 202),
            faults: [.notFound, .invalidState, .operationInProgress, .hostUnreachable, .libvirtUnavailable]
        ) { call in
            let timeout = control == .reboot ? try call.body.optional(Self.rebootTime) : nil
            let job = try await vms.control(call.value("vm"), control, timeout: timeout ?? 120, by: call.caller)
            return try await operations.accepted(job, call)
        }
    }

    private var consoleLog: Route {
        Route(
            .get, "/v1/vms/{vm}/console/log", named: "showConsoleLog",
            "The end of what the guest said on its serial console.", query: [Self.consoleLimit],
            answer: .other("text/plain", "The log's last bytes, as the guest sent them."),
            faults: [.notFound, .invalidState, .hostUnreachable]
        ) { call in
            let limit = try call.query.optional(Self.consoleLimit) ?? 65_536
            return .text(try await vms.consoleLog(call.value("vm"), limit: Int(limit)))
        }
    }
}

extension Answer {
    static func vm(_ status: HTTPStatus, _ view: VMView) -> Answer {
        .resource(VMResource.shape, VMResource(view), status: status).tagged(view.vm.revision)
    }
}
