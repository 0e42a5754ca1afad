package import APIContract

extension RoostClient {
    package func gcJobs(
        vm: String? = nil, host: String? = nil, state: String? = nil, kind: String? = nil
    ) async throws(APIFailure) -> Listing<GCJobResource> {
        try await list(
            ["gc-jobs"],
            query: [
                (name: "vm", value: vm), (name: "host", value: host), (name: "state", value: state),
                (name: "kind", value: kind),
            ])
    }

    package func gcJob(_ job: String) async throws(APIFailure) -> Answer<GCJobResource> {
        try await value(APIRequest(.get, ["gc-jobs", job]))
    }

    package func explainGCJob(_ job: String) async throws(APIFailure) -> Answer<GCJobExplanation> {
        try await value(APIRequest(.get, ["gc-jobs", job, "explain"]))
    }

    /// Makes the job due now; it runs soon after, not before this returns. A dry run only says what would happen.
    package func triggerGCJob(
        _ job: String, isDryRun: Bool = false
    ) async throws(APIFailure) -> Answer<GCJobResource> {
        try await value(APIRequest(.post, ["gc-jobs", job, "actions", "trigger"], query: Self.dryRun(isDryRun)))
    }

    private static func dryRun(_ isDryRun: Bool) -> [(name: String, value: String?)] {
        [(name: "dryRun", value: isDryRun ? "true" : nil)]
    }

    /// Cancels the job; its VM keeps waiting. A dry run only says what would happen.
    package func deleteGCJob(
        _ job: String, isDryRun: Bool = false
    ) async throws(APIFailure) -> Answer<GCJobResource?> {
        let raw = try await send(APIRequest(.delete, ["gc-jobs", job], query: Self.dryRun(isDryRun)))
        let job: GCJobResource? = raw.body.isEmpty ? nil : try raw.decoded()
        return Answer(value: job, text: raw.text, serverTime: raw.serverTime)
    }

    /// The newest `limit` operations, newest first.
    package func operations(
        vm: String? = nil, host: String? = nil, state: String? = nil, limit: Int
    ) async throws(APIFailure) -> Listing<OperationResource> {
        try await list(
            ["operations"],
            query: [
                (name: "vm", value: vm), (name: "host", value: host), (name: "state", value: state),
                (name: "sort", value: "-createdAt"),
            ],
            limit: limit)
    }

    /// `waiting` holds the answer for so many seconds, or until the operation ends.
    package func operation(
        _ operation: String, waiting seconds: Int = 0, retries: RetryPolicy = .standard
    ) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(
            APIRequest(
                .get, ["operations", operation], query: [(name: "wait", value: seconds > 0 ? String(seconds) : nil)],
                secondsMax: seconds + 20, retries: retries))
    }

    package func cancelOperation(_ operation: String) async throws(APIFailure) -> Answer<OperationResource> {
        try await value(APIRequest(.post, ["operations", operation, "actions", "cancel"]))
    }

    package func version() async throws(APIFailure) -> Answer<VersionResource> {
        try await value(APIRequest(.get, ["version"]))
    }
}
