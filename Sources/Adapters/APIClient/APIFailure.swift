package import APIContract

/// Why a request has no good answer.
package enum APIFailure: Error, Hashable, Sendable {
    /// The server answered, and said no.
    case problem(Problem)
    /// No answer came: there was no connection, or it broke and did so again at every further try.
    case unreachable(address: String, Cause)
    /// The connection stands, and the answer did not come in time. The request may still take effect.
    case timedOut(address: String, seconds: Int)
    /// What answers is no Roost server, or one of another version.
    case unexpectedAnswer(address: String, detail: String)
    /// A local file that was to be sent cannot be read.
    case fileUnreadable(path: String, detail: String)

    package enum Cause: Hashable, Sendable {
        /// Nothing was sent: nobody listens there, or the name or network does not lead there.
        case notConnected
        /// The connection ended before the whole answer was there.
        case broken
        /// The server's certificate is not one that this client trusts.
        case untrusted
        /// What answers there does not speak TLS.
        case noTLS
    }

    /// One sentence for the reader.
    package var message: String {
        switch self {
        case .problem(let problem):
            problem.detail.isEmpty ? problem.title : problem.detail
        case .unreachable(let address, .notConnected):
            "No Roost server answers at \(address)."
        case .unreachable(let address, .broken):
            "The connection to \(address) broke before the answer was there."
        case .unreachable(let address, .untrusted):
            "The certificate of \(address) is not trusted."
        case .unreachable(let address, .noTLS):
            "What answers at \(address) does not speak TLS."
        case .timedOut(let address, let seconds):
            "\(address) did not answer within \(seconds) s."
        case .unexpectedAnswer(let address, let detail):
            "The answer of \(address) makes no sense: \(detail)."
        case .fileUnreadable(let path, let detail):
            "\(path): \(detail)."
        }
    }

    /// What the reader can do about it.
    package var hint: String? {
        switch self {
        case .problem(let problem):
            problem.hint
        case .unreachable(_, .notConnected):
            "is roostd running there? Set --server or ROOST_SERVER to use another server"
        case .unreachable(_, .broken):
            "look at the log of roostd, then try again"
        case .unreachable(_, .untrusted):
            "give the server's CA certificate with --ca-file or ROOST_CA, and the name that it was made for"
        case .unreachable(_, .noTLS):
            "a server without a certificate is reached by http://, from its own machine"
        case .timedOut:
            "the request may have taken effect all the same: look before you repeat it"
        case .unexpectedAnswer:
            "check the address, and compare the versions with 'roost version'"
        case .fileUnreadable:
            nil
        }
    }
}
