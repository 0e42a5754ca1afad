import APIClient
import Glibc

/// Spans of time in the one unit that matters.
struct Age {
    /// Seconds since 1970 on the clock that the times to show came from.
    let now: Double

    /// nil takes this machine's clock, for a server that does not tell its own.
    init(serverTime: Double?) {
        now = serverTime ?? Double(time(nil))
    }

    /// How long ago `timestamp` (RFC 3339) was.
    func since(_ timestamp: String?) -> String {
        guard let timestamp else { return "" }
        guard let then = WireTime.seconds(rfc3339: timestamp) else { return timestamp }
        return Self.text(now - then)
    }

    /// The same in seconds; 0 for what is no time.
    func seconds(since timestamp: String) -> Double { WireTime.seconds(rfc3339: timestamp).map { now - $0 } ?? 0 }

    /// How long it is until `timestamp`; `now` when it has passed.
    func until(_ timestamp: String?) -> String {
        guard let timestamp else { return "" }
        guard let then = WireTime.seconds(rfc3339: timestamp) else { return timestamp }
        return then <= now ? "now" : "in " + Self.text(then - now)
    }

    static func text(_ seconds: Double) -> String {
        let whole = Int(max(seconds, 0).rounded(.down))
        return switch whole {
        case ..<120: "\(whole)s"
        case ..<7_200: "\(whole / 60)m"
        case ..<172_800: "\(whole / 3600)h"
        default: "\(whole / 86_400)d"
        }
    }
}
