import Domain
import Glibc

/// A file operation that the system refused, in words.
struct FileFailure: Error, Hashable, Sendable {
    let doing: String
    let path: String
    let number: Int32

    init(_ doing: String, _ path: String, number: Int32 = errno) {
        self.doing = doing
        self.path = path
        self.number = number
    }

    var fault: Fault {
        let reason = String(cString: strerror(number))
        switch number {
        case ENOSPC, EDQUOT:
            return Fault(
                .unavailable, .noCapacity, "There is no space left to \(doing) \(path).",
                hint: "Free some space on the host's disk.")
        default:
            return Fault(
                .unavailable, .commandFailed, "The agent could not \(doing) \(path): \(reason).",
                hint: "Check the directory's permissions and the host's disk.")
        }
    }
}
