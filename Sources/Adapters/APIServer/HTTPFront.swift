import Domain
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
package import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ServiceLifecycle

/// The HTTP server of the API: runs until it is asked to stop, then ends streams and waits at once, answers what is under
/// way, and returns.
///
/// Whether TLS is needed is the composition's decision (`ListenAddress.isLoopback`).
package struct HTTPFront: Service {
    private let responder: Responder
    private let listen: ListenAddress
    private let tls: ServerIdentity?
    private let limits: HTTPLimits
    private let logger: Logger
    private let bound = BoundPort()

    /// The certificate that the server shows, and its key, as PEM.
    package struct ServerIdentity: Sendable {
        /// The server's own certificate first.
        package let certificateChain: String
        package let privateKey: String

        package init(certificateChain: String, privateKey: String) {
            self.certificateChain = certificateChain
            self.privateKey = privateKey
        }
    }

    package init(
        _ services: APIServices, listen: ListenAddress, tls: ServerIdentity? = nil, limits: HTTPLimits = HTTPLimits(),
        logger: Logger
    ) {
        responder = Responder(services, limits: limits, logger: logger)
        self.listen = listen
        self.tls = tls
        self.limits = limits
        self.logger = logger
    }

    /// The port once the server listens, which may be another than was asked for (0). Throws if it will never listen.
    package func port() async throws -> Int { try await bound.port() }

    package func run() async throws {
        do {
            try await serve()
        } catch {
            bound.fail(with: error)
            throw error
        }
        bound.fail(with: CancellationError())
    }

    private func serve() async throws {
        let connections = MaximumAvailableConnections(limits.connections, logger: logger)
        let configuration = ServerConfiguration(
            address: .hostname(listen.host, port: listen.port), availableConnectionsDelegate: connections)
        let server = try builder().buildServer(
            configuration: configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger,
            responder: { request, writer, channel in
                try await respond(to: request, through: writer, on: channel)
            },
            onServerRunning: { channel in bound.resolve(channel.localAddress?.port ?? listen.port) })
        do {
            try await server.run()
        } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode)).lowercased()
            throw Fault(
                .unavailable, .internalError, "The API cannot listen on \(listen): \(reason).",
                hint: "Choose another address with --listen, or end what listens there.")
        }
    }

    private func builder() throws -> HTTPServerBuilder {
        let http = HTTP1Channel.Configuration(
            idleTimeout: TimeAmount(limits.idle),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes,
                maxHeaderFieldCount: limits.headerFields))
        guard let tls else { return .http1(configuration: http) }
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(tls.certificateChain.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(tls.privateKey.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return try .tls(.http1(configuration: http), tlsConfiguration: configuration)
    }

    private func respond(
        to request: Request, through writer: consuming ResponseWriter, on channel: any Channel
    ) async throws {
        let body = BodyBytes(request)
        if request.headers[.expect]?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let answer = await responder.answer(request, body, on: channel)
        var head = HTTPResponse(status: answer.status, headerFields: answer.headers)
        // A sender that is not through with a large body is not waited for: it gets its answer, and the connection ends.
        let ends = body.leavesMore(than: 64 << 10)
        if ends { head.headerFields[.connection] = "close" }
        switch answer.body {
        case .none: try await writer.writeResponse(head)
        case .bytes(let bytes, let type):
            head.headerFields[.contentType] = type
            head.headerFields[.contentLength] = String(bytes.count)
            let content = request.method == .head ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
            try await writer.write(response: head, body: content)
        case .stream(let type, let write):
            head.headerFields[.contentType] = type
            let content =
                request.method == .head ? ResponseBody() : Self.stream(write, on: channel, stall: limits.streamStall)
            try await writer.write(response: head, body: content)
        }
        guard ends else { return }
        let linger = channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
        await body.discard(upTo: 1 << 20)
        linger.cancel()
        throw ConnectionEnds()
    }

    /// A body that is written bit by bit. A reader that takes nothing for `stall` loses its connection.
    private static func stream(
        _ write: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void, on channel: any Channel,
        stall: Duration
    ) -> ResponseBody {
        ResponseBody { writer in
            var guarded: any ResponseBodyWriter = StallGuard(writer: writer, channel: channel, stall: stall)
            try await write(&guarded)
            try await writer.finish(nil)
        }
    }
}

/// Ends a connection whose request was answered before it was read whole.
private struct ConnectionEnds: Error {}

/// Gives up on a reader that leaves what is sent to it lying.
private struct StallGuard: ResponseBodyWriter {
    var writer: any ResponseBodyWriter
    let channel: any Channel
    let stall: Duration

    mutating func write(_ buffer: ByteBuffer) async throws {
        let channel = channel
        let end = channel.eventLoop.scheduleTask(in: TimeAmount(stall)) { channel.close(promise: nil) }
        defer { end.cancel() }
        try await writer.write(buffer)
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws { try await writer.finish(trailingHeaders) }
}
