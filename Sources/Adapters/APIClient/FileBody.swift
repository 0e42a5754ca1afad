import FoundationEssentials
import Glibc
package import NIOCore

/// A local file's bytes, in pieces, for a request's body.
///
/// Reading blocks its thread for as long as the disk takes: one at a time, and in a program that does nothing else.
package struct FileBody: AsyncSequence, Sendable {
    package let path: String
    package let size: Int64
    /// Told after each piece how many bytes were read so far.
    package let onProgress: @Sendable (Int64) -> Void

    /// Opens nothing but looks: a file that is missing, empty or no regular file is refused here.
    package init(path: String, onProgress: @escaping @Sendable (Int64) -> Void = { _ in }) throws(APIFailure) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw .fileUnreadable(path: path, detail: String(cString: strerror(errno)).lowercased())
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let what = status.st_mode & S_IFMT == S_IFDIR ? "is a directory" : "is no regular file"
            throw .fileUnreadable(path: path, detail: what)
        }
        guard status.st_size > 0 else { throw .fileUnreadable(path: path, detail: "the file is empty") }
        guard access(path, R_OK) == 0 else {
            throw .fileUnreadable(path: path, detail: String(cString: strerror(errno)).lowercased())
        }
        self.path = path
        self.size = Int64(status.st_size)
        self.onProgress = onProgress
    }

    package func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    package struct Iterator: AsyncIteratorProtocol {
        private let body: FileBody
        private var handle: FileDescriptorOwner?
        private var offset: Int64 = 0

        init(body: FileBody) { self.body = body }

        /// A file that shrank or vanished since it was looked at is an error, not a short body.
        package mutating func next() async throws -> ByteBuffer? {
            if offset >= body.size { return nil }
            let owner: FileDescriptorOwner
            if let handle {
                owner = handle
            } else {
                owner = try FileDescriptorOwner(path: body.path)
                handle = owner
            }
            let length = Int(Swift.min(body.size - offset, 256 * 1024))
            var buffer = ByteBuffer()
            let count = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { bytes in
                let count = read(owner.descriptor, bytes.baseAddress, length)
                guard count > 0 else {
                    let detail = count == 0 ? "the file got shorter" : String(cString: strerror(errno)).lowercased()
                    throw APIFailure.fileUnreadable(path: body.path, detail: detail)
                }
                return count
            }
            offset += Int64(count)
            body.onProgress(offset)
            return buffer
        }
    }
}

/// Closes its file when the last one who reads from it is gone.
private final class FileDescriptorOwner: Sendable {
    let descriptor: Int32

    init(path: String) throws(APIFailure) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .fileUnreadable(path: path, detail: String(cString: strerror(errno)).lowercased())
        }
    }

    deinit { close(descriptor) }
}
