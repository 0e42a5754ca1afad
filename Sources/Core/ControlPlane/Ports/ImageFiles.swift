package import Domain

/// The bytes of images on this node.
package protocol ImageFiles: Sendable {
    /// Stores an upload, checks that it is what `part` says, and returns its facts. Replaces nothing and leaves nothing
    /// behind when it fails: with the fault `image-invalid` for content that is no image, `body-too-large` past `limit`.
    /// `rawDisk` accepts a disk without a partition table, which cannot be told from any other file.
    func store(
        _ part: ImageFile.Part, of image: ImageID, rawDisk: Bool, limit: Int64,
        from bytes: any AsyncSequence<[UInt8], any Error> & Sendable
    ) async throws -> ImageFile

    /// The bytes of a stored part, in chunks.
    func read(_ part: ImageFile.Part, of image: ImageID) async throws -> any AsyncSequence<[UInt8], any Error>
        & Sendable

    func remove(_ image: ImageID) async throws
}
