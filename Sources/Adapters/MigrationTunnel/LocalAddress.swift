import Glibc
import NIOCore

/// The address of this machine that leads towards another one.
package enum LocalAddress {
    /// Asks the routing table, and sends nothing. Throws when `host` has no address or no way leads there.
    package static func toward(_ host: String, port: Int) throws -> String {
        let remote = try SocketAddress.makeAddressResolvingHost(host, port: port)
        return try remote.withSockAddr { address, length in
            let file = socket(Int32(address.pointee.sa_family), Int32(SOCK_DGRAM.rawValue), 0)
            guard file >= 0 else { throw TunnelFailure("no socket: \(String(cString: strerror(errno)))") }
            defer { Glibc.close(file) }
            guard Glibc.connect(file, address, socklen_t(length)) == 0 else {
                throw TunnelFailure("no way leads to \(host): \(String(cString: strerror(errno)))")
            }
            return try name(of: file)
        }
    }

    private static func name(of file: Int32) throws -> String {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let failed = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                getsockname(file, address, &length) != 0
                    || getnameinfo(
                        address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) != 0
            }
        }
        guard !failed else { throw TunnelFailure("this machine's address cannot be told") }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
