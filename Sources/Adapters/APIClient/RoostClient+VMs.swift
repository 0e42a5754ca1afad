package import APIContract

extension RoostClient {
    /// `label` is `key=value`, several with commas between.
    package func vms(
        state: String? = nil, host: String? = nil, label: String? = nil
    ) async throws(APIFailure) -> Listing<VMResource> {
        try await list(
            ["vms"],
            query: [
                (name: "state", value: state), (name: "host", value: host), (name: "label", value: label),
                (name: "sort", value: "name"),
            ])
    }

    /// `vm` is an id or a name, here and below.
    package func vm(_ vm: String) async throws(APIFailure) -> Answer<VMResource> {
        try await value(APIRequest(.get, ["vms", vm]))
    }

    package func createVM(_ request: CreateVMRequest) async throws(APIFailure) -> Answer<VMResource> {
        try await value(APIRequest(.post, ["vms"], body: Self.json(request)))
    }

    /// Sets the labels that have a value, and removes those that have none.
    package func labelVM(_ vm: String, _ labels: [String: String?]) async throws(APIFailure) -> Answer<VMResource> {
        try await value(APIRequest(.patch, ["vms", vm], body: Self.json(PatchLabelsRequest(labels: labels))))
    }

    package func planPlacement(
        _ request: PlanPlacementRequest
    ) async throws(APIFailure) -> Answer<PlacementResource> {
        try await value(APIRequest(.post, ["placements"], body: Self.json(request)))
    }

    /// Accepted, not done: the operation's end tells what came of it. The same holds for stop and delete.
    package func startVM(
        _ vm: String, _ request: StartVMRequest
    ) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(APIRequest(.post, ["vms", vm, "actions", "start"], body: Self.json(request)))
    }

    package func stopVM(_ vm: String, _ request: StopVMRequest) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(APIRequest(.post, ["vms", vm, "actions", "stop"], body: Self.json(request)))
    }

    package func resolveVM(_ vm: String, _ request: ResolveVMRequest) async throws(APIFailure) -> Answer<VMResource> {
        try await value(APIRequest(.post, ["vms", vm, "actions", "resolve"], body: Self.json(request)))
    }

    package func migrateVM(_ vm: String, _ request: MigrateVMRequest) async throws(APIFailure)
        -> Answer<OperationResource>
    {
        try await value(APIRequest(.post, ["vms", vm, "actions", "migrate"], body: Self.json(request)))
    }

    /// `timeout` is the guest's own time, in seconds.
    package func rebootVM(_ vm: String, timeout: Int) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(
            APIRequest(.post, ["vms", vm, "actions", "reboot"], body: Self.json(RebootVMRequest(timeout: timeout))))
    }

    /// `action` is `pause`, `resume` or `reset`.
    package func controlVM(_ vm: String, _ action: String) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(APIRequest(.post, ["vms", vm, "actions", action]))
    }

    /// A deleted VM can be recovered for a time, unless it `isExpunged` as well.
    package func deleteVM(
        _ vm: String, isDeferrable: Bool, isExpunged: Bool = false
    ) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(
            APIRequest(
                .delete, ["vms", vm],
                query: [
                    (name: "defer", value: isDeferrable ? "true" : nil),
                    (name: "expunge", value: isExpunged ? "true" : nil),
                ]))
    }

    package func recoverVM(
        _ vm: String, _ request: RecoverVMRequest
    ) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(APIRequest(.post, ["vms", vm, "actions", "recover"], body: Self.json(request)))
    }

    package func expungeVM(_ vm: String) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(APIRequest(.post, ["vms", vm, "actions", "expunge"]))
    }

    /// The last `limit` bytes of the VM's serial console.
    package func consoleLog(of vm: String, limit: Int) async throws(APIFailure) -> [UInt8] {
        try await send(
            APIRequest(.get, ["vms", vm, "console", "log"], query: [(name: "limit", value: String(limit))])
        ).body
    }

    package func events(of vm: String) async throws(APIFailure) -> Listing<EventResource> {
        try await list(["vms", vm, "events"])
    }
}
