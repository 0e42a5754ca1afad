import Domain
package import Hummingbird

/// A request's body as it arrives.
///
/// Read by one task at a time and only once: whoever reads on goes on where the last one stopped.
package final class BodyBytes: AsyncSequence, @unchecked Sendable {
    // Proof: one request is answered by one task, which reads here itself or awaits the handler that does; the two never
    // overlap, so the iterator is never used by two tasks at once.
    private var iterator: RequestBody.AsyncIterator
    /// What `Content-Length` announced; nil for a chunked body.
    package let announced: Int64?
    private(set) var received: Int64 = 0
    private(set) var isComplete: Bool

    package init(_ request: Request) {
        iterator = request.body.makeAsyncIterator()
        let isChunked = request.headers[.transferEncoding] != nil
        announced = isChunked ? nil : request.headers[.contentLength].flatMap { Int64($0) } ?? 0
        isComplete = announced == 0
    }

    /// Whether more than `limit` bytes were not read, or nobody knows how many.
    func leavesMore(than limit: Int64) -> Bool {
        guard !isComplete else { return false }
        return announced.map { $0 - received > limit } ?? true
    }

    package func makeAsyncIterator() -> Iterator { Iterator(bytes: self) }

    package struct Iterator: AsyncIteratorProtocol {
        let bytes: BodyBytes

        package mutating func next() async throws -> [UInt8]? { try await bytes.next() }
    }

    /// The next piece; nil at the end. A body that ends too early is a fault, never a short body.
    func next() async throws -> [UInt8]? {
        guard !isComplete else { return nil }
        let piece: ByteBuffer?
        do {
            piece = try await iterator.next()
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw Self.cutOff
        }
        guard let piece else {
            guard announced.map({ $0 == received }) ?? true else { throw Self.cutOff }
            isComplete = true
            return nil
        }
        received += Int64(piece.readableBytes)
        return Array(piece.readableBytesView)
    }

    /// The whole body, which must not be larger than `limit`; what is announced to be larger is not read at all.
    package func collect(upTo limit: Int) async throws -> [UInt8] {
        if let announced, announced > limit { throw Self.tooLarge(limit) }
        var all: [UInt8] = []
        while let piece = try await next() {
            guard all.count + piece.count <= limit else { throw Self.tooLarge(limit) }
            all += piece
        }
        return all
    }

    /// Reads on without keeping anything, up to `limit` bytes, so that a sender that still writes gets to read the answer.
    func discard(upTo limit: Int64) async {
        let end = received + limit
        while received < end, let piece = try? await next(), !piece.isEmpty {}
    }

    static func tooLarge(_ limit: some BinaryInteger) -> Fault {
        Fault(.tooLarge, .bodyTooLarge, "The body is larger than \(limit) bytes.")
    }

    private static let cutOff = Fault(
        .invalid, .invalidBody, "The body ended before it was complete.", hint: "Send the request again.")
}
