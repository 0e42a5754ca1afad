package import Domain
import FoundationEssentials
import Glibc

/// A data directory that one process at a time owns, for as long as the value lives.
///
/// The kernel gives the lock back when the process ends, however it ends. While it is held, no other process can hold
/// leases in this directory's database, or answer for its host.
package final class DataDirectoryLock: Sendable {
    private let descriptor: Int32

    /// Makes `directory` with `mode` if it is not there, and locks it; throws a `Fault` when another process has it.
    package init(directory: String, mode: Int) throws(Fault) {
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: mode])
        } catch {
            throw Fault(
                .unavailable, .internalError,
                "The data directory \(directory) cannot be made: \(error)",
                hint: "Name another with --data-dir.")
        }
        descriptor = open("\(directory)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Fault(
                .unavailable, .internalError,
                "The data directory \(directory) cannot be written: \(String(cString: strerror(errno))).",
                hint: "Check its owner and mode, or name another with --data-dir.")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw Fault(
                .conflict, .invalidState, "Another process uses the data directory \(directory).",
                hint: "Stop that one first, or name another with --data-dir.")
        }
    }

    deinit { close(descriptor) }
}
