import CLibvirt
import Domain
import Glibc
import HostAgent

/// The QEMU process of a VM, found without libvirt: by the UUID on its command line. It is this one process for good.
final class QEMUProcess: Sendable {
    let pid: pid_t
    private let handle: Int32

    private init(_ pid: pid_t, _ handle: Int32) {
        self.pid = pid
        self.handle = handle
    }

    deinit { close(handle) }

    /// The QEMU of `vm`; nil when there is none.
    ///
    /// It sees the processes of its own PID namespace, which must be libvirtd's.
    convenience init?(of vm: VMID, proc: String = "/proc") throws(HypervisorError) {
        for pid in try Self.processes(proc) where Self.isQEMU(pid, of: vm, proc) {
            let handle = roost_pidfd_open(pid)
            guard handle >= 0 else {
                if errno == ESRCH { continue }
                throw .failed("The QEMU process \(pid) of \(vm) cannot be opened: \(Self.errorText(errno)).")
            }
            // Only now is it certain whose the number is.
            if Self.isQEMU(pid, of: vm, proc) {
                self.init(pid, handle)
                return
            }
            close(handle)
        }
        return nil
    }

    /// Kills it and returns when it is dead; at once when it is dead already.
    func kill(within limit: Duration) throws(HypervisorError) {
        if roost_pidfd_send_signal(handle, SIGKILL) != 0 {
            if errno == ESRCH { return }
            throw .failed("The QEMU process \(pid) cannot be killed: \(Self.errorText(errno)).")
        }
        try awaitEnd(limit)
    }

    private static func processes(_ proc: String) throws(HypervisorError) -> [pid_t] {
        guard let directory = opendir(proc) else {
            throw .failed("The processes of this machine cannot be listed: \(errorText(errno)).")
        }
        defer { closedir(directory) }
        var found: [pid_t] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let pid = pid_t(name) { found.append(pid) }
        }
        return found
    }

    private static func isQEMU(_ pid: pid_t, of vm: VMID, _ proc: String) -> Bool {
        guard let commandLine = read("\(proc)/\(pid)/cmdline") else { return false }
        return isQEMU(commandLine: commandLine, of: vm)
    }

    /// Whether a process with this command line, as `/proc` gives it, is a QEMU that libvirt started for `vm`.
    static func isQEMU(commandLine: [UInt8], of vm: VMID) -> Bool {
        let arguments = commandLine.split(separator: 0, omittingEmptySubsequences: false)
        guard let program = arguments.first?.split(separator: UInt8(ascii: "/")).last,
            program.starts(with: "qemu".utf8)
        else { return false }
        return zip(arguments, arguments.dropFirst()).contains { option, value in
            option.elementsEqual("-uuid".utf8) && value.elementsEqual(vm.rawValue.utf8)
        }
    }

    private func awaitEnd(_ limit: Duration) throws(HypervisorError) {
        let deadline = MonotonicClock.now() + limit
        while true {
            let remaining = (deadline - MonotonicClock.now()).wholeMilliseconds
            guard remaining > 0 else {
                throw .failed(
                    "The QEMU process \(pid) was killed and does not end: it waits in the kernel, "
                        + "probably for storage.")
            }
            var poll = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
            if Glibc.poll(&poll, 1, Int32(clamping: remaining)) > 0 { return }
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
    }

    private static func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }
}
