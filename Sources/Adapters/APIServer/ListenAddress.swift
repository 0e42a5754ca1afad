package import Domain

/// Where a server listens: `127.0.0.1:7080`, `[::1]:0`, `localhost:7080`, or `:7080` for every address of the machine.
package struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// Without brackets.
    package let host: String
    /// 0: the system chooses one.
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `ADDR:PORT`; an IPv6 address stands in brackets.
    package init(parsing text: String) throws(Fault) {
        let hint = "Write it as ADDR:PORT, for example 127.0.0.1:7080 or [::1]:7080."
        guard let colon = text.lastIndex(of: ":") else {
            throw Fault(.invalid, .invalidField, "The address '\(text)' has no port.", hint: hint)
        }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = Int(digits), (0...65_535).contains(port)
        else {
            throw Fault(
                .invalid, .invalidField, "The address '\(text)' has no port from 0 to 65535 at its end.", hint: hint)
        }
        var host = text[..<colon]
        if host.first == "[" {
            guard host.last == "]", host.count > 2 else {
                throw Fault(
                    .invalid, .invalidField, "The address '\(text)' has a bracket without its twin.", hint: hint)
            }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Fault(
                .invalid, .invalidField, "The IPv6 address in '\(text)' must stand in brackets.", hint: hint)
        }
        guard !host.contains(where: { $0.isWhitespace || "[]/".contains($0) }) else {
            throw Fault(.invalid, .invalidField, "The address '\(text)' is not one.", hint: hint)
        }
        self.init(host: host.isEmpty ? "0.0.0.0" : String(host), port: port)
    }

    /// Whether only this machine can reach it. A name other than `localhost` could mean anything, so it does not count.
    package var isLoopback: Bool {
        if host.lowercased() == "localhost" || host == "::1" || host == "0:0:0:0:0:0:0:1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return parts.count == 4 && parts[0] == 127 && !parts.contains(nil)
    }

    /// Where clients on this machine find it, with brackets where they are needed: nobody can dial *any address*.
    package var reachableHost: String {
        switch host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "[::1]"
        default: host.contains(":") ? "[\(host)]" : host
        }
    }

    /// `ADDR:PORT`, with brackets where they are needed.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
