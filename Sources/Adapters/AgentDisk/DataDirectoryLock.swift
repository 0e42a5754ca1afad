import Domain
import Glibc

/// The right to use a data directory, held until the process ends or the lock is released.
package final class DataDirectoryLock: Sendable {
    private let file: Int32

    /// Takes the lock of `directory`, which is made if need be; throws a `Fault` when another agent has it.
    package init(directory: String) throws {
        let path = "\(directory)/lock"
        do { try DurableFile.makeDirectory(directory, mode: 0o711) } catch { throw error.fault }
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FileFailure("open", path).fault }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            close(file)
            guard number == EWOULDBLOCK else { throw FileFailure("lock", path, number: number).fault }
            let owner = (try? DurableFile.read(path)).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) } ?? ""
            throw Fault(
                .conflict, .invalidState,
                "Another roost-agent\(owner.isEmpty ? "" : " (process \(owner))") uses the data directory \(directory).",
                hint: "Stop it, or choose another directory with --data-dir.")
        }
        ftruncate(file, 0)
        // Only for the message above: the lock holds without it.
        try? DurableFile.writeAll(Array("\(getpid())".utf8), to: file, at: path)
        self.file = file
    }

    deinit { close(file) }
}
