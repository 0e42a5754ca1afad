/// What both sides of the agent protocol must agree on besides the messages.
package enum AgentProtocol {
    /// Rises with every change that an older side would misread.
    package static let version = 1
    /// The oldest version that this release still speaks: that of the release before it.
    package static let oldest = 1

    /// Whether a server of this release understands an agent of `version`, which itself speaks all versions from `oldest` on.
    package static func fits(version: UInt32, oldest: UInt32) -> Bool {
        version >= Self.oldest && min(oldest, version) <= Self.version
    }

    /// The largest message either side accepts, in bytes. An inventory of some 40 000 domains fits.
    package static let messageLimit = 4 * 1024 * 1024

    /// The size of an image's chunks, in bytes; the last one is shorter.
    package static let imageChunk = 256 * 1024
}
