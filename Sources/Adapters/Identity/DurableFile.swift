import FoundationEssentials
import Glibc

/// Files that are whole or not there, also after a power loss.
enum DurableFile {
    /// Replaces `path` by `bytes`; on return both the content and the name are on disk.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(IdentityError) {
        let draft = path + ".new"
        _ = unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw unwritable(path) }
        do {
            defer { _ = close(descriptor) }
            guard writeAll(bytes, to: descriptor), fsync(descriptor) == 0 else { throw unwritable(path) }
        }
        guard rename(draft, path) == 0 else { throw unwritable(path) }
        try syncDirectory(of: path)
    }

    /// The content of `path`, or nil when there is no such file.
    static func read(_ path: String) throws(IdentityError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw unreadable(path)
        }
        defer { _ = close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { return content }
            if count < 0 {
                if errno == EINTR { continue }
                throw unreadable(path)
            }
            content += buffer[..<count]
        }
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private static func syncDirectory(of path: String) throws(IdentityError) {
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unwritable(path) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else { throw unwritable(path) }
    }

    private static func unwritable(_ path: String) -> IdentityError {
        IdentityError(
            .unwritableFile, "The file \(path) cannot be written: \(String(cString: strerror(errno))).",
            hint: "Check the data directory's owner, rights and free space.")
    }

    private static func unreadable(_ path: String) -> IdentityError {
        IdentityError(
            .unreadableFile, "The file \(path) cannot be read: \(String(cString: strerror(errno))).",
            hint: "Check the file's owner and rights.")
    }
}
