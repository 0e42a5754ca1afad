import Foundation
import Glibc
import Logging
import Synchronization

/// Hears of other nodes' commits.
///
/// Only a wake-up: a notification that is lost with its connection is made good for by waking everybody once the next
/// one stands.
final class PostgresListener: Sendable {
    /// The channel is the database's own, so that Roosts in several databases of one server do not wake each other.
    static let channel = "roost"
    /// How a notification ends that tells of jobs.
    static let jobs = " jobs"
    static let records = " records"

    private let url: String
    /// What this store's own notifications begin with; they are no news here.
    private let tag: String
    private let logger: Logger
    private let onNotice: @Sendable (_ jobsTouched: Bool) -> Void
    private let isClosed = Mutex(false)
    private let ended = DispatchSemaphore(value: 0)
    /// How long one wait for the socket lasts at most; a closed store is noticed by then.
    private static let turn: Int32 = 200  // milliseconds

    init(url: String, tag: String, logger: Logger, onNotice: @escaping @Sendable (_ jobsTouched: Bool) -> Void) {
        self.url = url
        self.tag = tag
        self.logger = logger
        self.onNotice = onNotice
        let thread = Thread { [self] in
            listen()
            ended.signal()
        }
        thread.name = "roost.notices"
        thread.start()
    }

    func close() {
        isClosed.withLock { $0 = true }
        ended.wait()
    }

    private var isOpen: Bool { isClosed.withLock { !$0 } }

    private func listen() {
        let session = PostgresSession(url: url, logger: logger)
        var isFirst = true
        while isOpen {
            do throws(PostgresError) {
                let connection = try session.connected()
                _ = try connection.ask("LISTEN \(Self.channel)")
                // What was committed while nobody listened.
                if !isFirst { onNotice(true) }
                isFirst = false
                while isOpen { try hear(connection) }
            } catch {
                logger.warning("cannot hear of other nodes", metadata: ["error": "\(error.message)"])
                session.close()
                usleep(UInt32(Self.turn) * 1000)
            }
        }
    }

    private func hear(_ connection: PostgresConnection) throws(PostgresError) {
        var descriptor = pollfd(fd: connection.socket, events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, Self.turn) > 0 else { return }
        let notices = try connection.notifications().filter { !$0.hasPrefix(tag) }
        if connection.isLost {
            throw PostgresError(state: PostgresError.connectionLost, message: "the connection was closed")
        }
        guard !notices.isEmpty else { return }
        onNotice(notices.contains { $0.hasSuffix(Self.jobs) })
    }
}
