import Crypto
import Domain
import Glibc

/// A file that an upload is written to, under a name that no reader looks for until it is published.
///
/// Every call may wait for the disk. Used by one task, one call at a time.
final class UploadFile: @unchecked Sendable {
    // Proof: an upload makes one call after the other, each awaited before the next, so the fields are never shared.
    private var hash = SHA256()
    private(set) var size: Int64 = 0
    private(set) var head: [UInt8] = []
    private var isPublished = false
    private let descriptor: Int32
    let path: String

    /// What of the file's beginning is kept for the checks.
    static let headLength = 4608

    /// Creates the file. Whoever does that publishes or discards it.
    init(path: String) throws(Fault) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .disk("create a file for the upload") }
        self.path = path
    }

    deinit { close(descriptor) }

    /// Removes the file, unless it was published.
    func discard() {
        if !isPublished { unlink(path) }
    }

    func append(_ bytes: [UInt8]) throws(Fault) {
        hash.update(data: bytes)
        if head.count < Self.headLength { head += bytes.prefix(Self.headLength - head.count) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .disk("write the upload")
            }
            rest = rest.dropFirst(count)
        }
        size += Int64(bytes.count)
    }

    /// Returns when every byte is on disk.
    func sync() throws(Fault) {
        guard fsync(descriptor) == 0 else { throw .disk("write the upload") }
    }

    var sha256: String { hexadecimal(hash.finalize()) }

    /// Gives the file the name that readers know. Answers false, and changes nothing, if there is a file of that name.
    func publish(as name: String, in directory: String) throws(Fault) -> Bool {
        guard link(path, name) == 0 else {
            if errno == EEXIST { return false }
            if errno == ENOENT { throw Fault(.notFound, .notFound, "The image was deleted during the upload.") }
            throw .disk("store the upload")
        }
        isPublished = true
        unlink(path)
        try Self.syncDirectory(directory)
        return true
    }

    static func syncDirectory(_ path: String) throws(Fault) {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .disk("store the upload") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw .disk("store the upload") }
    }
}

extension Fault {
    /// A call to the disk failed; `errno` says why.
    static func disk(_ verb: String) -> Fault {
        let reason =
            errno == ENOSPC || errno == EDQUOT ? "its disk is full" : String(cString: strerror(errno)).lowercased()
        return Fault(
            .unavailable, .storeUnavailable, "The server cannot \(verb): \(reason).",
            hint: "Make room or mend the disk of the server's data directory, then upload again.")
    }
}
