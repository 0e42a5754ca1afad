import AsyncHTTPClient
import Glibc
import NIOCore
import NIOSSL

extension APIFailure {
    /// What an error of the connection means to the one who asked.
    init(transport error: any Error, access: ServerAccess, secondsMax: Int) {
        self =
            switch error {
            case let error as HTTPClientError where [.deadlineExceeded, .readTimeout].contains(error):
                .timedOut(address: access.address, seconds: secondsMax)
            case is NIOSSLError, is NIOSSLExtraError:
                .unreachable(address: access.address, Self.cause(ofTLS: error))
            case let error as HTTPClientError
            where [.connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout].contains(error):
                .unreachable(address: access.address, .notConnected)
            case is HTTPClientError, is ChannelError:
                .unreachable(address: access.address, .broken)
            case let error as IOError where [ECONNRESET, EPIPE, ENOTCONN].contains(error.errnoCode):
                .unreachable(address: access.address, .broken)
            case is NIOTooManyBytesError:
                .unexpectedAnswer(address: access.address, detail: "it is longer than 64 MiB")
            // What is left is about getting there: refused, no route, no such name.
            default: .unreachable(address: access.address, .notConnected)
            }
    }

    private static func cause(ofTLS error: any Error) -> Cause {
        if error is NIOSSLExtraError { return .untrusted }
        if let error = error as? NIOSSLError, error == .uncleanShutdown { return .broken }
        // The reason is in the error's text alone.
        return String(describing: error).contains("CERTIFICATE_VERIFY_FAILED") ? .untrusted : .noTLS
    }
}
