import Foundation

/// The way into a bench's network.
struct Wire: Sendable {
    /// The bench's.
    let directory: String

    enum Service {
        case api, agents
    }

    /// A connection to what the server listens for, or -1 with the reason in `errno`.
    ///
    /// The calling thread is in the wire's network from then on, and must be one that ends soon.
    func dial(_ service: Service, ofServer number: Int) -> Int32 {
        guard let recorded = try? String(contentsOfFile: "\(directory)/wire.pid", encoding: .utf8) else { return -1 }
        let wire = open("/proc/\(recorded.prefix { $0 != " " })/ns/net", O_RDONLY | O_CLOEXEC)
        guard wire >= 0 else { return -1 }
        defer { close(wire) }
        guard Self.enterNamespace(wire, 0) == 0 else { return -1 }
        return switch service {
        case .api: Relay.dial(Relay.address(port: 7079 + number))
        case .agents: Relay.dial(Relay.address(port: 7442 + number, 0x0A00_0001))
        }
    }

    /// `setns(2)`, which Swift's Glibc module does not show.
    private static let enterNamespace: @convention(c) (Int32, Int32) -> Int32 = {
        let symbol = dlsym(nil, "setns")
        return unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
    }()
}
