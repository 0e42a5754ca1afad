package import Domain
package import GRPCCore
import SwiftProtobuf

extension WireFault {
    package init(_ fault: Fault) {
        self.init()
        kind = fault.kind.rawValue
        code = fault.code.rawValue
        message = fault.message
        if let hint = fault.hint { self.hint = hint }
        if let field = fault.field { self.field = field }
    }
}

extension Fault {
    package init(reading wire: WireFault) throws(UnreadableMessage) {
        guard let kind = FaultKind(rawValue: wire.kind) else { throw UnreadableMessage("fault kind '\(wire.kind)'") }
        self.init(
            kind, FaultCode(rawValue: wire.code) ?? .unnamed, wire.message, hint: wire.hasHint ? wire.hint : nil,
            field: wire.hasField ? wire.field : nil)
    }

    /// The fault that was sent, or the one of a message that cannot be read.
    package init(readingOrRefusing wire: WireFault) {
        do throws(UnreadableMessage) { try self.init(reading: wire) } catch { self = error.fault }
    }

    /// The fault that the other side sent with a failed call, or nil when the failure is the connection's.
    package init?(sentWith error: RPCError) {
        guard case .binary(let bytes)? = error.metadata[faultKey].first(where: { _ in true }) else { return nil }
        guard let wire = try? WireFault(serializedBytes: bytes) else { return nil }
        do { try self.init(reading: wire) } catch { self = error.fault }
    }
}

extension RPCError {
    /// Ends a call with `fault`; the other side finds it whole with `Fault(sentWith:)`.
    package init(_ fault: Fault) {
        var metadata = Metadata()
        if let bytes: [UInt8] = try? WireFault(fault).serializedBytes() {
            metadata.addBinary(bytes, forKey: faultKey)
        }
        self.init(code: Code(fault.kind), message: fault.message, metadata: metadata)
    }
}

private let faultKey = "roost-fault-bin"

extension RPCError.Code {
    fileprivate init(_ kind: FaultKind) {
        self =
            switch kind {
            case .invalid, .unprocessable: .invalidArgument
            case .unauthenticated: .unauthenticated
            case .forbidden: .permissionDenied
            case .notFound: .notFound
            case .conflict, .preconditionFailed: .failedPrecondition
            case .tooLarge: .resourceExhausted
            case .unavailable: .unavailable
            case .bug: .internalError
            }
    }
}
