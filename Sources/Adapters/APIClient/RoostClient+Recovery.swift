package import APIContract

extension RoostClient {
    /// Whether restored records wait to be accepted, and where they differ from the hosts.
    package func recovery() async throws(APIFailure) -> Answer<RecoveryResource> {
        try await value(APIRequest(.get, ["recovery"]))
    }

    /// Lets the server act again on restored records.
    package func acceptRecovery() async throws(APIFailure) -> Answer<RecoveryResource> {
        try await value(APIRequest(.post, ["recovery", "actions", "accept"]))
    }
}
