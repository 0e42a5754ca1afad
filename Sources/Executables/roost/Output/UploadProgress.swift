import Synchronization

/// How much of a file has been sent, on standard error where that is a terminal.
final class UploadProgress: Sendable {
    private let part: String
    private let size: Int64
    private let stream = StandardStream.error
    private let percentShown = Mutex(-1)

    init(part: String, size: Int64) {
        self.part = part
        self.size = max(size, 1)
    }

    func show(_ bytes: Int64) {
        guard stream.isTerminal else { return }
        let percent = Int(Double(bytes) * 100 / Double(size))
        percentShown.withLock { shown in
            guard percent != shown else { return }
            shown = percent
            try? stream.write("\r\u{1b}[Kuploading \(part): \(percent) %")
        }
    }

    func clear() {
        let isShown = percentShown.withLock { $0 >= 0 }
        if isShown { try? stream.write("\r\u{1b}[K") }
    }
}
