import FoundationEssentials
import Glibc
package import Logging

/// One line a message on standard error: time, level, text, then what it is about as `key=value`, sorted.
package struct LogText: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]

    package init(level: Logger.Level) { logLevel = level }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = "\(Self.time()) \(event.level.rawValue.uppercased()) \(event.message)"
        let all = metadata.merging(event.metadata ?? [:]) { _, newer in newer }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(Self.quoted("\(value)"))" }
        line += "\n"
        // One write a line, so that lines of several threads do not mix.
        line.withUTF8 { text in _ = write(STDERR_FILENO, text.baseAddress, text.count) }
    }

    private static func time() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var seconds = now.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let fields = [parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec].map { two($0) }
        let fraction = String(now.tv_nsec / 1_000_000 + 1000).dropFirst()
        return "\(parts.tm_year + 1900)-\(fields[0])-\(fields[1])T\(fields[2]):\(fields[3]):\(fields[4]).\(fraction)Z"
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// A value with spaces, quotes or line breaks is quoted, so that a line stays a line.
    private static func quoted(_ value: String) -> String {
        guard value.isEmpty || value.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" || $0.isNewline }) else {
            return value
        }
        let safe = value.flatMap { character -> String in
            switch character {
            case "\\", "\"": "\\\(character)"
            case _ where character.isNewline: "\\n"
            default: String(character)
            }
        }
        return "\"\(String(safe))\""
    }
}
