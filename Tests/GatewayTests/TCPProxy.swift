import Foundation
import Synchronization

/// Stands between agent and server, so that a test can cut a connection or let a network fall silent.
final class TCPProxy: Sendable {
    let port: Int
    private let target: UInt16
    private let listener: Int32
    private let state = Mutex(Shared())

    private struct Shared {
        var swallows = false
        var open: Set<Int32> = []
        var closed = false
    }

    init(to target: Int) throws {
        self.target = UInt16(target)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = loopback(port: 0)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(listener, 64) == 0 else { throw POSIXError(.EADDRINUSE) }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in acceptAll() }
    }

    /// From now on every byte of every connection disappears, and no connection ends.
    func swallow(_ swallows: Bool) { state.withLock { $0.swallows = swallows } }

    /// Ends all connections; new ones are possible.
    func cut() {
        // Under the lock: a descriptor that is closed meanwhile could already be somebody else's.
        state.withLock { shared in
            for descriptor in shared.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// Ends all connections; new ones are refused.
    func close() {
        state.withLock { shared in
            shared.closed = true
            shutdown(listener, Int32(SHUT_RDWR))
        }
        cut()
    }

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0, !state.withLock({ $0.closed }) else {
                if client >= 0 { _ = Foundation.close(client) }
                _ = Foundation.close(listener)
                return
            }
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = loopback(port: target)
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard connected == 0 else {
                _ = Foundation.close(client)
                _ = Foundation.close(server)
                continue
            }
            state.withLock { $0.open.formUnion([client, server]) }
            let pumps = DispatchGroup()
            for (from, to) in [(client, server), (server, client)] {
                pumps.enter()
                Thread.detachNewThread { [self] in
                    pump(from, to)
                    pumps.leave()
                }
            }
            pumps.notify(queue: .global()) { [self] in
                state.withLock { shared in
                    shared.open.subtract([client, server])
                    _ = Foundation.close(client)
                    _ = Foundation.close(server)
                }
            }
        }
    }

    private func pump(_ from: Int32, _ to: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(from, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            if state.withLock({ $0.swallows }) { continue }
            var sent = 0
            while sent < count {
                let step = buffer.withUnsafeBytes {
                    send(to, $0.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL))
                }
                guard step > 0 else { break }
                sent += step
            }
        }
        // Either end closing is both ends closing; a swallowed end stays open, as in a network that fell silent.
        if !state.withLock({ $0.swallows }) { shutdown(to, Int32(SHUT_RDWR)) }
        shutdown(from, Int32(SHUT_RDWR))
    }
}

private func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return address
}
