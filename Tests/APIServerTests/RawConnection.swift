import Crypto
import Foundation
import Logging
import ServiceLifecycle

@testable import APIServer

/// A TCP connection on which a test writes what no well-behaved client would.
///
/// Blocking calls run on a queue of their own, so that they never take a thread that the server needs.
final class RawConnection: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "test.connection")

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    static func open(port: Int) async throws -> RawConnection {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let connection = RawConnection(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw ConnectionFailed(reason: String(cString: strerror(errno))) }
        // Nothing here may wait for ever.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return connection
    }

    /// Writes as much as the server takes, and returns how much that was.
    @discardableResult
    func write(_ bytes: [UInt8]) async -> Int {
        await run { descriptor in
            var written = 0
            while written < bytes.count {
                let count = bytes[written...].withUnsafeBytes {
                    Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { break }
                written += count
            }
            return written
        }
    }

    func closeOutput() async { _ = await run { shutdown($0, Int32(SHUT_WR)) } }

    /// Reads until `isEnough`, until the server closes, or for 30 s at most.
    func read(until isEnough: @escaping @Sendable (String) -> Bool = { _ in false }) async -> String {
        await run { descriptor in
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let start = ContinuousClock.now
            while !isEnough(String(decoding: all, as: UTF8.self)), ContinuousClock.now - start < .seconds(30) {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                all += buffer[..<count]
            }
            return String(decoding: all, as: UTF8.self)
        }
    }

    func exchange(_ bytes: [UInt8], closesOutput: Bool) async throws -> RawAnswer {
        await write(bytes)
        if closesOutput { await closeOutput() }
        return RawAnswer(text: await read())
    }

    private func run<Result: Sendable>(_ body: @escaping @Sendable (Int32) -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: body(descriptor)) }
        }
    }
}

struct ConnectionFailed: Error { let reason: String }

/// What a server said before it closed.
struct RawAnswer: Sendable {
    let text: String

    var status: Int { Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0 }

    private var parts: (head: Substring, body: Substring) {
        guard let gap = text.range(of: "\r\n\r\n") else { return (text[...], "") }
        return (text[..<gap.lowerBound], text[gap.upperBound...])
    }

    var body: String { String(parts.body) }

    func header(_ name: String) -> String? {
        for line in parts.head.split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name.lowercased() else {
                continue
            }
            return line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        return nil
    }

    var json: JSONValue { (try? JSONParser.parse(Array(body.utf8), depthMax: 64)) ?? .null }
    var code: String? { json["code"]?.text }
    var isProblem: Bool {
        header("content-type") == "application/problem+json" && json["status"]?.integerValue == Int64(status)
    }
}

/// Runs a service group that a test stops.
struct Stopper: Sendable {
    private let group: ServiceGroup

    init(_ service: any Service, _ logger: Logger) { group = ServiceGroup(services: [service], logger: logger) }

    func run() async throws { try await group.run() }
    func stop() async { await group.triggerGracefulShutdown() }
}

func sha256(_ text: String) -> String { hex(SHA256.hash(data: Array(text.utf8))) }
