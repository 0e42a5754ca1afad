import CLibvirt
import Glibc

/// libvirt's event loop, one for the process. Without it no event arrives and no connection is kept alive.
enum LibvirtEventLoop {
    /// Starts the loop unless it runs. Must return before the first connection is opened.
    static func ensureRunning() { _ = started }

    private static let started: Bool = {
        guard virInitialize() == 0, virEventRegisterDefaultImpl() == 0 else { return false }
        // Errors reach callers as values; libvirt would print them on stderr as well.
        virSetErrorFunc(nil) { _, _ in }
        return OwnThread.start(named: "libvirt-events") {
            while true {
                if virEventRunDefaultImpl() < 0 { usleep(100_000) }
            }
        }
    }()
}
