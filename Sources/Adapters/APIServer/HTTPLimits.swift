/// What one caller can make the server hold, and for how long.
package struct HTTPLimits: Sendable {
    /// The largest JSON body, bytes.
    package var bodyBytes = 1 << 20
    /// The largest file, bytes; the same as the image service's own limit.
    package var fileBytes: Int64 = 64 << 30
    /// How long a connection may be silent while a request is awaited or read.
    package var idle: Duration = .seconds(60)
    /// How long a JSON body may take to arrive.
    package var bodyTime: Duration = .seconds(30)
    /// All header fields of a request together, bytes.
    package var headerBytes = 16 << 10
    package var headerFields = 64
    package var connections = 1024
    /// How often a silent event stream says that it is alive.
    package var heartbeat: Duration = .seconds(15)
    /// How long a reader of an event stream may leave what is sent to it lying.
    package var streamStall: Duration = .seconds(60)

    package init() {}
}
