import Domain
import Glibc
import Subprocess

/// The root disks in a pool: `disks/<vm id>.qcow2`, overlays over image files of the same pool.
struct RootDisks: Sendable {
    let directory: String
    var qemuImage = "qemu-img"

    init(directory: String) throws(FileFailure) {
        self.directory = directory
        try DurableFile.makeDirectory(directory, mode: 0o711)
        try DurableFile.sweep(directory, olderThan: 24 * 60 * 60)
    }

    func path(_ vm: VMID) -> String { "\(directory)/\(name(vm))" }

    func exists(_ vm: VMID) -> Bool { DurableFile.size(path(vm)) != nil }

    /// Makes the VM's disk over `backing`, a path relative to this directory, unless it is there.
    func make(_ vm: VMID, over backing: String, _ format: ImageFile.Format) async throws(Fault) {
        guard DurableFile.size(path(vm)) == nil else { return }
        let temporary = DurableFile.temporaryPath(for: name(vm), in: directory)
        defer { unlink(temporary) }
        // Relative, so that the pool may be mounted elsewhere on another host; with its format, as guests write raw disks.
        try await run(
            ["create", "-q", "-f", "qcow2", "-F", format.rawValue, "-b", backing, temporary], for: vm)
        do throws(FileFailure) {
            let file = open(temporary, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw FileFailure("open", temporary) }
            defer { close(file) }
            try DurableFile.sync(file: file, at: temporary)
            _ = try DurableFile.publish(temporary, as: name(vm), in: directory)
        } catch {
            throw error.fault
        }
    }

    func remove(_ vm: VMID) throws(Fault) {
        do { try DurableFile.remove(name(vm), in: directory) } catch { throw error.fault }
    }

    /// Every VM's disk; files that are no VM's are not Roost's.
    func held() throws(FileFailure) -> [HeldFile] {
        var held: [HeldFile] = []
        for file in try DurableFile.names(in: directory).sorted() where file.hasSuffix(Self.suffix) {
            guard let vm = VMID(String(file.dropLast(Self.suffix.count))),
                // It may have been removed since.
                let bytes = DurableFile.size("\(directory)/\(file)")
            else { continue }
            held.append(HeldFile(vm: vm, kind: .rootDisk, bytes: bytes))
        }
        return held
    }

    private static let suffix = ".qcow2"

    private func name(_ vm: VMID) -> String { "\(vm)\(Self.suffix)" }

    private func run(_ arguments: [String], for vm: VMID) async throws(Fault) {
        let status: TerminationStatus
        let said: String
        do {
            let result = try await Subprocess.run(
                .name(qemuImage), arguments: Arguments(arguments), output: .discarded, error: .string(limit: 64 * 1024))
            status = result.terminationStatus
            said = result.standardError.split(whereSeparator: \.isNewline).last.map(String.init) ?? "it said nothing"
        } catch {
            throw Fault(
                .unavailable, .commandFailed, "\(qemuImage) could not be run on this host.",
                hint: "Install the package qemu-utils there.")
        }
        guard status.isSuccess else {
            throw Fault(
                .unavailable, .commandFailed, "The root disk of VM \(vm) could not be made: \(said).",
                hint: "Check the host's pool and its free space.")
        }
    }
}
