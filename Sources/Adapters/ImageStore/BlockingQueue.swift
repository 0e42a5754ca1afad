import Foundation

/// A thread of its own for calls that wait for a disk, so that they hold up nobody else's work.
struct BlockingQueue: Sendable {
    private let queue = DispatchQueue(label: "roost.image-files")

    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }
}
