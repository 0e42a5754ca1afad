import APIContract
import ControlPlane
import Domain

/// `/v1/operations` and `/v1/gc-jobs`.
struct JobRoutes: Sendable {
    let services: APIServices
    private var jobs: JobService { services.jobs }
    private var operations: OperationAnswer { OperationAnswer(jobs: services.jobs) }

    private static let operationList = list(
        states: ["pending", "running", JobState.parkedLabel] + JobEnd.Verdict.allCases.map(\.rawValue),
        kinds: JobKind.operations)
    private static let gcList = list(
        states: ["waiting", "running", JobState.parkedLabel, "done", "cancelled"], kinds: JobKind.gcJobs)
    private static let dryRun = QueryField<Bool>.flag(
        "dryRun", "Change nothing, and say what would happen: in `wouldHappen`, beside the job as it would be.")
    private static let operationPage = pageShape(of: OperationResource.shape)
    private static let gcPage = pageShape(of: GCJobResource.shape)

    private static func list(states: [String], kinds: [JobKind]) -> ListParameters {
        ListParameters(
            filters: [
                .text("vm", upTo: Name.longest, "Only those about this VM (id or name)."),
                .text("host", upTo: Name.longest, "Only those about this host (id or name)."),
                .choice("state", of: states, "Only those in this state."),
                .choice("kind", of: kinds.map(\.label), "Only those of this kind."),
            ], sorts: ["createdAt", "updatedAt"])
    }

    var routes: [Route] {
        [
            listOperations, showOperation, cancelOperation, listGCJobs, showGCJob, explainGCJob, triggerGCJob,
            deleteGCJob,
        ]
    }

    private var listOperations: Route {
        Route(
            .get, "/v1/operations", named: "listOperations", "Lists operations, a page at a time.",
            query: Self.operationList.fields, answer: .json(Self.operationPage, "A page of operations."),
            faults: [.invalidField]
        ) { call in
            let query = try Self.operationList.query(call.query)
            let found = try await jobs.jobs(.operation, query)
            return .resource(
                Self.operationPage,
                Page(
                    items: found.items.map { OperationResource($0) },
                    nextCursor: ListParameters.cursor(found.next, of: query)))
        }
    }

    private var showOperation: Route {
        Route(
            .get, "/v1/operations/{operation}", named: "showOperation", "Shows an operation, or waits for its end.",
            query: [OperationAnswer.wait], answer: .json(OperationResource.shape, "The operation."),
            faults: [.notFound]
        ) { call in try await operations.shown(try await jobs.operation(call.value("operation")), call) }
    }

    private var cancelOperation: Route {
        Route(
            .post, "/v1/operations/{operation}/actions/cancel", named: "cancelOperation",
            "Breaks a live move or a drain off, and ends what needs attention. Others are refused while they are under way, with what overtakes them; one that "
                + "has ended is answered as it is.",
            body: .json(.empty),
            answer: .json(OperationResource.shape, "The operation."), faults: [.notFound, .invalidState]
        ) { call in
            let job = try await jobs.cancelOperation(call.value("operation"), by: call.caller)
            return .resource(OperationResource.shape, OperationResource(job)).tagged(job.revision)
        }
    }

    private var listGCJobs: Route {
        Route(
            .get, "/v1/gc-jobs", named: "listGCJobs", "Lists GC jobs, a page at a time.", query: Self.gcList.fields,
            answer: .json(Self.gcPage, "A page of GC jobs."), faults: [.invalidField]
        ) { call in
            let query = try Self.gcList.query(call.query)
            let found = try await jobs.jobs(.gc, query)
            return .resource(
                Self.gcPage,
                Page(
                    items: found.items.map { GCJobResource($0) },
                    nextCursor: ListParameters.cursor(found.next, of: query)))
        }
    }

    private var showGCJob: Route {
        Route(
            .get, "/v1/gc-jobs/{job}", named: "showGCJob", "Shows a GC job.",
            answer: .json(GCJobResource.shape, "The GC job."), faults: [.notFound]
        ) { call in .gcJob(try await jobs.gcJob(call.value("job"))) }
    }

    private var explainGCJob: Route {
        Route(
            .get, "/v1/gc-jobs/{job}/explain", named: "explainGCJob",
            "Why a GC job waits, what wakes it, and what would cancel it.",
            answer: .json(GCJobExplanation.shape, "The explanation."), faults: [.notFound]
        ) { call in
            .resource(GCJobExplanation.shape, GCJobExplanation(try await jobs.explain(call.value("job"))))
        }
    }

    private var triggerGCJob: Route {
        Route(
            .post, "/v1/gc-jobs/{job}/actions/trigger", named: "triggerGCJob",
            "Makes a GC job due now that waits or needs attention.", query: [Self.dryRun],
            body: .json(.empty), answer: .json(GCJobResource.shape, "The GC job."), faults: [.notFound, .invalidState]
        ) { call in
            guard try call.query.optional(Self.dryRun) ?? false else {
                return .gcJob(try await jobs.trigger(call.value("job"), by: call.caller))
            }
            return .rehearsal(try await jobs.rehearseTrigger(call.value("job"), by: call.caller))
        }
    }

    private var deleteGCJob: Route {
        Route(
            .delete, "/v1/gc-jobs/{job}", named: "cancelGCJob", "Cancels a GC job; what it was to clean up stays.",
            query: [Self.dryRun], answer: .json(GCJobResource.shape, "The GC job."), faults: [.notFound, .invalidState]
        ) { call in
            guard try call.query.optional(Self.dryRun) ?? false else {
                return .gcJob(try await jobs.cancelGCJob(call.value("job"), by: call.caller))
            }
            return .rehearsal(try await jobs.rehearseCancel(call.value("job"), by: call.caller))
        }
    }
}

extension Answer {
    fileprivate static func gcJob(_ job: Job) -> Answer {
        .resource(GCJobResource.shape, GCJobResource(job)).tagged(job.revision)
    }

    /// Without a tag: there is no such revision.
    fileprivate static func rehearsal(_ rehearsal: JobRehearsal) -> Answer {
        var resource = GCJobResource(rehearsal.job)
        resource.wouldHappen = rehearsal.changes
        return .resource(GCJobResource.shape, resource)
    }
}
