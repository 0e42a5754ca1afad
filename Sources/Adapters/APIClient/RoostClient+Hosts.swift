package import APIContract

extension RoostClient {
    /// `label` is `key=value`, several with commas between.
    package func hosts(label: String? = nil) async throws(APIFailure) -> Listing<HostResource> {
        try await list(["hosts"], query: [(name: "label", value: label), (name: "sort", value: "name")])
    }

    /// Sets the labels that have a value, and removes those that have none.
    package func labelHost(_ host: String, _ labels: [String: String?]) async throws(APIFailure) -> Answer<HostResource>
    {
        try await value(APIRequest(.patch, ["hosts", host], body: Self.json(PatchLabelsRequest(labels: labels))))
    }

    /// `host` is an id or a name, here and below.
    package func host(_ host: String) async throws(APIFailure) -> Answer<HostResource> {
        try await value(APIRequest(.get, ["hosts", host]))
    }

    package func addHost(_ name: String) async throws(APIFailure) -> Answer<AddedHost> {
        try await value(APIRequest(.post, ["hosts"], body: Self.json(AddHostRequest(name: name))))
    }

    /// A new join token for a host that has not joined or lost its data; earlier ones end.
    package func makeJoinToken(for host: String) async throws(APIFailure) -> Answer<AddedHost> {
        try await value(APIRequest(.post, ["hosts", host, "join-tokens"]))
    }

    /// `isForced` also deletes a host that cannot be asked; its VMs stay unknown until it is fenced.
    package func deleteHost(_ host: String, isForced: Bool) async throws(APIFailure) -> Answer<DeletedHost> {
        try await value(APIRequest(.delete, ["hosts", host], query: [(name: "force", value: isForced ? "true" : nil)]))
    }

    package func enableHost(_ host: String) async throws(APIFailure) -> Answer<HostResource> {
        try await value(APIRequest(.post, ["hosts", host, "actions", "enable"]))
    }

    package func disableHost(_ host: String) async throws(APIFailure) -> Answer<HostResource> {
        try await value(APIRequest(.post, ["hosts", host, "actions", "disable"]))
    }

    /// Accepted, not done: the operation's end tells what came of it.
    package func maintainHost(
        _ host: String, _ request: MaintainHostRequest
    ) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(APIRequest(.post, ["hosts", host, "actions", "maintain"], body: Self.json(request)))
    }

    package func drainPlan(of host: String) async throws(APIFailure) -> Answer<DrainPlanResource> {
        try await value(APIRequest(.get, ["hosts", host, "drain-plan"]))
    }

    /// Ends the host's session; its agent dials in again.
    package func reconnectHost(_ host: String) async throws(APIFailure) -> Answer<HostResource> {
        try await value(APIRequest(.post, ["hosts", host, "actions", "reconnect"]))
    }

    /// What lies on the host and belongs to no record, asked of its agent.
    package func orphans(on host: String) async throws(APIFailure) -> Answer<Page<OrphanResource>> {
        try await value(APIRequest(.get, ["hosts", host, "orphans"]))
    }

    /// Accepted, not done: the GC job's end tells what came of it.
    package func removeOrphan(
        _ vm: String, on host: String, epoch: Int64
    ) async throws(APIFailure) -> Answer<GCJobResource> {
        try await value(
            APIRequest(
                .post, ["hosts", host, "orphans", vm, "actions", "remove"],
                body: Self.json(RemoveOrphanRequest(epoch: epoch))))
    }

    package func adoptOrphan(
        _ vm: String, on host: String, _ request: AdoptOrphanRequest
    ) async throws(APIFailure) -> Answer<VMResource> {
        try await value(
            APIRequest(.post, ["hosts", host, "orphans", vm, "actions", "adopt"], body: Self.json(request)))
    }

    /// Declares the host off: its VMs count as stopped. Wrong proof can run a VM twice.
    package func fenceHost(_ host: String, proof: String) async throws(APIFailure) -> Answer<HostResource> {
        try await value(
            APIRequest(
                .post, ["hosts", host, "actions", "fence"], body: Self.json(FenceHostRequest(proof: proof))))
    }
}
