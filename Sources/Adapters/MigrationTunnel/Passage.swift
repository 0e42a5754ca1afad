import Domain
import Glibc
import NIOCore
import Synchronization

/// Everything that is open for one move at one of its ends.
final class Passage: Sendable {
    let epoch: Epoch
    private let directory: String
    private let state = Mutex(State())

    private struct State {
        var open: [ObjectIdentifier: any Channel] = [:]
        var isClosed = false
    }

    init(epoch: Epoch, directory: String) {
        self.epoch = epoch
        self.directory = directory
    }

    /// `channel` ends with this, unless it has ended before.
    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let isLate = state.withLock { state in
            if !state.isClosed { state.open[id] = channel }
            return state.isClosed
        }
        if isLate { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { [weak self] _ in self?.state.withLock { $0.open[id] = nil } }
    }

    func close() async {
        let open = state.withLock { state in
            state.isClosed = true
            defer { state.open = [:] }
            return Array(state.open.values)
        }
        for channel in open { try? await channel.close() }
        SocketDirectory.remove(directory)
    }
}

/// A directory for the sockets of one move, which QEMU's user may enter and nobody else.
enum SocketDirectory {
    private static let names = ["libvirt", "memory", "disks"]

    static func make(_ directory: String, in parent: String) throws(TunnelFailure) {
        for (path, mode) in [(parent, mode_t(0o711)), (directory, mode_t(0o770))] {
            guard mkdir(path, mode) == 0 || errno == EEXIST else {
                throw TunnelFailure("\(path) cannot be made: \(String(cString: strerror(errno)))")
            }
        }
        for name in names { unlink("\(directory)/\(name)") }
        // Debian's name for it, then Fedora's; as root where there is neither.
        for user in ["libvirt-qemu", "qemu"] {
            guard let entry = getpwnam(user) else { continue }
            guard chown(directory, entry.pointee.pw_uid, entry.pointee.pw_gid) == 0 else {
                throw TunnelFailure("\(directory) cannot be given to \(user)")
            }
            return
        }
    }

    static func remove(_ directory: String) {
        for name in names { unlink("\(directory)/\(name)") }
        rmdir(directory)
    }
}
