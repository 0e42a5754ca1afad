import Glibc

/// Standard output or standard error, written to at once and whole.
struct StandardStream: Sendable {
    let descriptor: Int32

    static let output = StandardStream(descriptor: STDOUT_FILENO)
    static let error = StandardStream(descriptor: STDERR_FILENO)

    /// Nobody reads any more, or the disk is full. The program ends without a word: there is no one to hear it.
    struct Closed: Error {
        let status: Int32
    }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    func write(_ text: String) throws(Closed) {
        try write(Array(text.utf8))
    }

    func write(_ bytes: [UInt8]) throws(Closed) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            // 128 + SIGPIPE is what a shell shows for a program that a closed pipe ended.
            guard count >= 0 else { throw Closed(status: errno == EPIPE ? 141 : ExitStatus.refused.rawValue) }
            rest = rest.dropFirst(count)
        }
    }
}
