import Foundation
import Synchronization

/// Stands between two programs, so that a test can cut one off from the other.
final class Relay: Sendable {
    /// What becomes of the bytes.
    enum Way: Sendable {
        case open
        /// They wait on either side, as in a network that fell silent; nothing of a connection is lost that outlasts it.
        case held
        /// Every connection ends, and new ones do too.
        case refused
    }

    private struct State {
        var way = Way.open
        var descriptors: Set<Int32> = []
        var isClosed = false

        func shutAll() { for descriptor in descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) } }
    }

    private let listener: Int32
    private let dial: @Sendable () -> Int32
    private let state = Mutex(State())

    /// Relays what connects to `port` of 127.0.0.1 to where `dial` leads.
    static func atFreePort(_ dial: @escaping @Sendable () -> Int32) throws -> (relay: Relay, port: Int) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = Relay.address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound, listen(listener, 64) == 0 else { throw ProgramFailed(description: "no port for a relay") }
        return (Relay(listener, dial), Int(UInt16(bigEndian: address.sin_port)))
    }

    /// Relays what connects to the socket at `path` to the socket at `target`.
    static func atSocket(_ path: String, to target: String) throws -> Relay {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard Relay.onSocket(path, { bind(listener, $0, $1) }) == 0, listen(listener, 64) == 0 else {
            throw ProgramFailed(description: "no relay at \(path)")
        }
        return Relay(listener) {
            let connection = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            if Relay.onSocket(target, { connect(connection, $0, $1) }) == 0 { return connection }
            Foundation.close(connection)
            return -1
        }
    }

    private init(_ listener: Int32, _ dial: @escaping @Sendable () -> Int32) {
        self.listener = listener
        self.dial = dial
        Thread.detachNewThread { [self] in acceptAll() }
    }

    func become(_ way: Way) {
        state.withLock { state in
            state.way = way
            if case .refused = way { state.shutAll() }
        }
    }

    /// Ends all connections; new ones are possible.
    func cut() { state.withLock { $0.shutAll() } }

    func close() {
        state.withLock { state in
            state.isClosed = true
            state.way = .refused
            state.shutAll()
            shutdown(listener, Int32(SHUT_RDWR))
        }
    }

    private var way: Way { state.withLock { $0.way } }

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            if state.withLock({ $0.isClosed }) || client < 0 {
                if client >= 0 { Foundation.close(client) }
                Foundation.close(listener)
                return
            }
            Thread.detachNewThread { [self] in carry(client) }
        }
    }

    private func carry(_ client: Int32) {
        while way == .held { usleep(5000) }
        let server = way == .open ? dial() : -1
        guard server >= 0 else {
            Foundation.close(client)
            return
        }
        let isOpen = state.withLock { state in
            state.descriptors.formUnion([client, server])
            return state.way != .refused
        }
        if isOpen {
            let back = DispatchSemaphore(value: 0)
            Thread.detachNewThread { [self] in
                pump(server, client)
                back.signal()
            }
            pump(client, server)
            back.wait()
        }
        // Under the lock: a descriptor that is closed meanwhile could already be somebody else's.
        state.withLock { state in
            state.descriptors.subtract([client, server])
            Foundation.close(client)
            Foundation.close(server)
        }
    }

    private func pump(_ from: Int32, _ to: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(from, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            while way == .held { usleep(5000) }
            var sent = 0
            while sent < count {
                let step = buffer.withUnsafeBytes {
                    send(to, $0.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL))
                }
                guard step > 0 else { break }
                sent += step
            }
            if sent < count { break }
        }
        // An end waits too where bytes wait.
        while way == .held { usleep(5000) }
        for descriptor in [from, to] { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    /// A connection to `address`, or -1 with the reason in `errno`.
    static func dial(_ address: sockaddr_in) -> Int32 {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let connected = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if connected == 0 { return connection }
        let reason = errno
        Foundation.close(connection)
        errno = reason
        return -1
    }

    // MARK: Addresses

    static func address(port: Int, _ host: UInt32 = 0x7F00_0001) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = host.bigEndian
        return address
    }

    private static func onSocket(_ path: String, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return -1 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
