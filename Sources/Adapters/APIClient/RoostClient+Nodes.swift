package import APIContract

extension RoostClient {
    /// The servers that share the database.
    package func nodes() async throws(APIFailure) -> Answer<Page<NodeResource>> {
        try await value(APIRequest(.get, ["nodes"]))
    }
}
