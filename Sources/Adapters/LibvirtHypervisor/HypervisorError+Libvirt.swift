import CLibvirt
import HostAgent

extension HypervisorError {
    /// The meaning of a libvirt error.
    ///
    /// What the RPC layer reports, and whatever is said on a connection that is closed, is no answer about a domain.
    init(code: UInt32, domain: UInt32, message: String, isConnectionAlive: Bool) {
        let text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        guard isConnectionAlive else {
            self = .unreachable(text)
            return
        }
        switch code {
        case VIR_ERR_NO_DOMAIN.rawValue:
            self = .noDomain
        case VIR_ERR_RPC.rawValue, VIR_ERR_NO_CONNECT.rawValue, VIR_ERR_INVALID_CONN.rawValue,
            VIR_ERR_AUTH_FAILED.rawValue, VIR_ERR_AUTH_CANCELLED.rawValue, VIR_ERR_AUTH_UNAVAILABLE.rawValue:
            self = .unreachable(text)
        case VIR_ERR_INTERNAL_ERROR.rawValue where domain == VIR_FROM_RPC.rawValue,
            VIR_ERR_SYSTEM_ERROR.rawValue where domain == VIR_FROM_RPC.rawValue,
            VIR_ERR_INTERNAL_ERROR.rawValue where domain == VIR_FROM_REMOTE.rawValue,
            VIR_ERR_SYSTEM_ERROR.rawValue where domain == VIR_FROM_REMOTE.rawValue:
            self = .unreachable(text)
        default:
            self = .failed(text)
        }
    }
}

/// libvirt's description of the error that the latest call on this thread ended with.
struct LibvirtFailure {
    let code: UInt32
    let domain: UInt32
    let message: String

    /// Must be made on the thread of the failed call, before another call.
    static func latest() -> LibvirtFailure {
        guard let error = virGetLastError() else {
            return LibvirtFailure(code: 0, domain: 0, message: "libvirt failed without saying why")
        }
        return LibvirtFailure(
            code: UInt32(bitPattern: error.pointee.code), domain: UInt32(bitPattern: error.pointee.domain),
            message: error.pointee.message.map { String(cString: $0) } ?? "libvirt failed without saying why")
    }
}
