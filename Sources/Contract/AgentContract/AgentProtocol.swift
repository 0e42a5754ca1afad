/// What both sides of the agent protocol must agree on besides the messages.
package enum AgentProtocol {
    /// Rises with every change that an older side would misread.
    package static let version = 1

    /// The largest message either side accepts, in bytes. An inventory of some 40 000 domains fits.
    package static let messageLimit = 4 * 1024 * 1024

    /// The size of an image's chunks, in bytes; the last one is shorter.
    package static let imageChunk = 256 * 1024
}
