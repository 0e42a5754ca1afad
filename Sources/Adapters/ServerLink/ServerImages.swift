import AgentContract
package import Domain
import FoundationEssentials
import GRPCCore
import HostAgent
package import Logging
import Synchronization

/// Image files from the server that the agent is connected to.
package final class ServerImages: ImageFetcher {
    private let server = Mutex<DialledServer?>(nil)
    private let chunkLimit: Duration
    private let logger: Logger

    package init(settings: LinkSettings = LinkSettings(), logger: Logger) {
        chunkLimit = settings.chunkLimit
        self.logger = logger
    }

    /// The connection that images come over; nil while there is none.
    func use(_ server: DialledServer?) { self.server.withLock { $0 = server } }

    package func fetch(
        _ part: ImageFile.Part, of image: ImageID
    ) async throws(Fault) -> any AsyncSequence<[UInt8], any Error> & Sendable {
        guard let dialled = server.withLock({ $0 }) else {
            throw Fault(
                .unavailable, .imageNotReady, "The image cannot be fetched: the host is not connected to a server.",
                hint: "Try again when the host is connected.")
        }
        let pipe = ChunkPipe()
        let request = WireFetchImageRequest.with {
            $0.image = image.rawValue
            $0.part = WireImagePart(part)
        }
        let transfer = Task { [logger] in
            do {
                try await dialled.gateway.fetchImage(request) { response in
                    for try await chunk in response.messages { try await pipe.put(Array(chunk.data)) }
                }
                pipe.finish(nil)
            } catch {
                logger.warning(
                    "an image could not be fetched",
                    metadata: [
                        "image": "\(image)", "part": "\(part.rawValue)", "reason": "\(dialled.reason(for: error))",
                    ])
                pipe.finish((error as? RPCError).flatMap(Fault.init(sentWith:)) ?? .transferBroke)
            }
        }
        return ImageBytes(transfer: Transfer(task: transfer, pipe: pipe), chunkLimit: chunkLimit)
    }
}

/// A transfer; cancelled when nobody holds it any more.
private final class Transfer: Sendable {
    let pipe: ChunkPipe
    private let task: Task<Void, Never>

    init(task: Task<Void, Never>, pipe: ChunkPipe) {
        self.task = task
        self.pipe = pipe
    }

    deinit { task.cancel() }
}

/// The pieces of one transfer. To be iterated once.
private struct ImageBytes: AsyncSequence, Sendable {
    let transfer: Transfer
    let chunkLimit: Duration

    func makeAsyncIterator() -> Iterator { Iterator(transfer: transfer, chunkLimit: chunkLimit) }

    struct Iterator: AsyncIteratorProtocol {
        let transfer: Transfer
        let chunkLimit: Duration

        mutating func next() async throws -> [UInt8]? {
            let pipe = transfer.pipe
            let timer = Task { [chunkLimit] in
                try await Task.sleep(for: chunkLimit)
                pipe.finish(.transferBroke)
            }
            defer { timer.cancel() }
            return try await pipe.take()
        }
    }
}

extension Fault {
    fileprivate static let transferBroke = Fault(
        .unavailable, .imageNotReady, "The transfer of the image broke off.", hint: "Try again.")
}
