import Crypto
import Domain
import Glibc

/// An open file that is read from its beginning to its end. Stays readable when its name is removed meanwhile.
///
/// Every call may wait for the disk.
final class StoredFile: Sendable {
    private let descriptor: Int32

    init(path: String) throws(Fault) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw Fault(.notFound, .notFound, "The image has no such file.") }
            throw .disk("read the image's file")
        }
    }

    deinit { close(descriptor) }

    /// The next bytes; none at the end.
    func next(_ length: Int) throws(Fault) -> [UInt8] {
        while true {
            var failed = false
            let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
                let result = Glibc.read(descriptor, buffer.baseAddress, length)
                failed = result < 0
                count = max(result, 0)
            }
            guard failed else { return bytes }
            guard errno == EINTR else { throw .disk("read the image's file") }
        }
    }

    func sha256() throws(Fault) -> String {
        var hash = SHA256()
        while true {
            let bytes = try next(1 << 20)
            guard !bytes.isEmpty else { return hexadecimal(hash.finalize()) }
            hash.update(data: bytes)
        }
    }
}

/// The bytes of a stored file, in chunks. Read by one task.
struct StoredBytes: AsyncSequence, Sendable {
    let file: StoredFile
    let queue: BlockingQueue

    func makeAsyncIterator() -> Iterator { Iterator(file: file, queue: queue) }

    struct Iterator: AsyncIteratorProtocol {
        let file: StoredFile
        let queue: BlockingQueue

        mutating func next() async throws -> [UInt8]? {
            let file = file
            let bytes = try await queue.run { try file.next(256 << 10) }
            return bytes.isEmpty ? nil : bytes
        }
    }
}

func hexadecimal(_ digest: SHA256Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self)
}
