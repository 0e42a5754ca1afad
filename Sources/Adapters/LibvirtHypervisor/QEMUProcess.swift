import CLibvirt
import Domain
import Glibc
import HostAgent

/// The QEMU process of a VM, found without libvirt: by the UUID on its command line.
struct QEMUProcess: Sendable {
    let proc: String

    init(proc: String = "/proc") { self.proc = proc }

    /// Kills every QEMU of `vm` and returns when it is dead; at once when there is none.
    ///
    /// It sees the processes of its own PID namespace, which must be libvirtd's.
    func kill(of vm: VMID, within limit: Duration) throws(HypervisorError) {
        for pid in try candidates(vm) {
            let handle = roost_pidfd_open(pid)
            guard handle >= 0 else {
                if errno == ESRCH { continue }
                throw .failed("The QEMU process \(pid) of \(vm) cannot be opened: \(Self.errorText(errno)).")
            }
            defer { close(handle) }
            // The handle names this one process for good; only now is it certain whose the number is.
            guard isQEMU(pid, of: vm) else { continue }
            if roost_pidfd_send_signal(handle, SIGKILL) != 0 {
                if errno == ESRCH { continue }
                throw .failed("The QEMU process \(pid) of \(vm) cannot be killed: \(Self.errorText(errno)).")
            }
            try awaitEnd(handle, pid, limit)
        }
    }

    /// The processes that are QEMU for `vm`; normally one or none.
    func candidates(_ vm: VMID) throws(HypervisorError) -> [pid_t] {
        guard let directory = opendir(proc) else {
            throw .failed("The processes of this machine cannot be listed: \(Self.errorText(errno)).")
        }
        defer { closedir(directory) }
        var found: [pid_t] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let pid = pid_t(name), isQEMU(pid, of: vm) else { continue }
            found.append(pid)
        }
        return found
    }

    private func isQEMU(_ pid: pid_t, of vm: VMID) -> Bool {
        guard let commandLine = read("\(proc)/\(pid)/cmdline") else { return false }
        return Self.isQEMU(commandLine: commandLine, of: vm)
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

    private func awaitEnd(_ handle: Int32, _ pid: pid_t, _ limit: Duration) throws(HypervisorError) {
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

    private func read(_ path: String) -> [UInt8]? {
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
