/// One event of a `text/event-stream`.
package struct ServerSentEvent: Hashable, Sendable {
    /// The latest id that the stream gave, with this event or before it.
    package let id: String?
    /// `message` where the stream does not say.
    package let name: String
    package let data: String

    package init(id: String?, name: String, data: String) {
        self.id = id
        self.name = name
        self.data = data
    }
}

/// Reads a `text/event-stream` from pieces of any size, as the HTML standard has it.
///
/// An event that the stream breaks off in the middle of is never given out.
package struct ServerSentEvents: Sendable {
    private var line: [UInt8] = []
    private var lastByteWasReturn = false
    private var isFirstLine = true
    private var lastID: String?
    private var name = ""
    private var data: [String] = []

    package init() {}

    /// The events that the bytes complete.
    package mutating func read(_ bytes: some Sequence<UInt8>) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            // A line ends with CR, LF, or both; the pair may come in two pieces.
            let isSecondHalf = byte == UInt8(ascii: "\n") && lastByteWasReturn
            lastByteWasReturn = byte == UInt8(ascii: "\r")
            if isSecondHalf { continue }
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                if let event = endLine() { events.append(event) }
            } else {
                line.append(byte)
            }
        }
        return events
    }

    private mutating func endLine() -> ServerSentEvent? {
        var text = Substring(String(decoding: line, as: UTF8.self))
        line.removeAll(keepingCapacity: true)
        if isFirstLine, text.unicodeScalars.first == "\u{FEFF}" { text = Substring(text.unicodeScalars.dropFirst()) }
        isFirstLine = false
        if text.isEmpty { return endEvent() }
        let colon = text.firstIndex(of: ":")
        let field = text[..<(colon ?? text.endIndex)]
        var value = colon.map { text[text.index(after: $0)...] } ?? ""
        if value.hasPrefix(" ") { value.removeFirst() }
        switch field {
        case "data": data.append(String(value))
        case "event": name = String(value)
        case "id": if !value.utf8.contains(0) { lastID = String(value) }
        // A comment (no field name), the reconnection time, and fields that this reader does not know.
        default: break
        }
        return nil
    }

    private mutating func endEvent() -> ServerSentEvent? {
        defer {
            name = ""
            data = []
        }
        if data.isEmpty { return nil }
        return ServerSentEvent(
            id: lastID, name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n"))
    }
}
