package import APIContract

extension RoostClient {
    package func images() async throws(APIFailure) -> Listing<ImageResource> {
        try await list(["images"], query: [(name: "sort", value: "name")])
    }

    /// `image` is an id or a name, here and below.
    package func image(_ image: String) async throws(APIFailure) -> Answer<ImageResource> {
        try await value(APIRequest(.get, ["images", image]))
    }

    /// Records the image; it stays incomplete until `uploadImageFile` has sent each part.
    package func createImage(_ request: CreateImageRequest) async throws(APIFailure) -> Answer<ImageResource> {
        try await value(APIRequest(.post, ["images"], body: Self.json(request)))
    }

    /// Sends one part; `isRaw` says that a disk without a partition table is meant.
    package func uploadImageFile(
        _ file: FileBody, as part: String, of image: String, isRaw: Bool = false
    ) async throws(APIFailure) -> Answer<ImageResource> {
        // As slow as 1 MB/s, and a quarter of an hour for the server's checks.
        let secondsMax = 900 + Int(file.size / 1_000_000)
        return try await value(
            APIRequest(
                .put, ["images", image, "files", part], query: [(name: "raw", value: isRaw ? "true" : nil)],
                body: .file(file), secondsMax: secondsMax, retries: .upload))
    }

    /// Returns the text of the answer, which may be empty.
    @discardableResult
    package func deleteImage(_ image: String) async throws(APIFailure) -> String {
        try await send(APIRequest(.delete, ["images", image])).text
    }
}
