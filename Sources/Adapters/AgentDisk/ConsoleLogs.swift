import Domain
import Glibc

/// The guests' serial consoles: `<vm id>.log`, and `<vm id>.log.1` for what was before.
struct ConsoleLogs: Sendable {
    let directory: String
    /// A log that has grown beyond this is put aside at the VM's next start; bytes.
    var sizeMax: Int64 = 10 << 20

    init(directory: String) throws(FileFailure) {
        self.directory = directory
        try DurableFile.makeDirectory(directory, mode: 0o711)
    }

    func path(_ vm: VMID) -> String { "\(directory)/\(vm).log" }

    /// Makes the log ready for a domain that is about to start: not over-long, and there, since libvirt's QEMU user may not
    /// make files here.
    func prepare(_ vm: VMID) throws(FileFailure) {
        let path = path(vm)
        if let size = DurableFile.size(path), size > sizeMax {
            guard rename(path, "\(path).1") == 0 else { throw FileFailure("put aside", path) }
        }
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FileFailure("make", path) }
        close(file)
    }

    /// The last `limit` bytes; empty when there is no log.
    func read(_ vm: VMID, limit: Int) throws(FileFailure) -> [UInt8] {
        let path = path(vm)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return [] }
            throw FileFailure("read", path)
        }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0 else { throw FileFailure("read", path) }
        var bytes = [UInt8](repeating: 0, count: min(max(limit, 0), info.st_size))
        let start = info.st_size - bytes.count
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(file, buffer.baseAddress.map { $0 + filled }, buffer.count - filled, start + filled)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileFailure("read", path) }
            if count == 0 { break }
            filled += count
        }
        return Array(bytes[..<filled])
    }

    /// Every VM's logs, all that were put aside included; files that are no VM's are not Roost's.
    func held() throws(FileFailure) -> [HeldFile] {
        var bytes: [VMID: Int64] = [:]
        for name in try DurableFile.names(in: directory) {
            guard let vm = VMID(String(name.prefix { $0 != "." })), name.hasPrefix("\(vm).log"),
                // It may have been removed since.
                let size = DurableFile.size("\(directory)/\(name)")
            else { continue }
            bytes[vm, default: 0] += size
        }
        return bytes.sorted { $0.key < $1.key }.map { HeldFile(vm: $0.key, kind: .consoleLog, bytes: $0.value) }
    }

    func remove(_ vm: VMID) throws(FileFailure) {
        // libvirt's virtlogd numbers the logs that it puts aside itself.
        for name in try DurableFile.names(in: directory) where name.hasPrefix("\(vm).log") {
            try DurableFile.remove(name, in: directory)
        }
    }
}
