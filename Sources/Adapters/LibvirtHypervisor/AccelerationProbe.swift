import Glibc
import Subprocess
import Synchronization

/// Finds out by booting something whether KVM works: the device can open, even create a VM, and a guest still never get
/// past its firmware.
struct AccelerationProbe: Sendable {
    var device = "/dev/kvm"
    var emulator = "qemu-system-x86_64"
    var limit: Duration = .seconds(4)

    struct Finding: Hashable, Sendable {
        let type: DomainType
        /// In words, for `roost host show`.
        let reason: String
    }

    func run() async -> Finding {
        guard access(device, F_OK) == 0 else {
            return Finding(type: .qemu, reason: "There is no \(device); guests are emulated in software.")
        }
        guard access(device, R_OK | W_OK) == 0 else {
            return Finding(
                type: .qemu, reason: "\(device) may not be used by the agent; guests are emulated in software.")
        }
        guard let sector = BootSector.write() else {
            return Finding(type: .qemu, reason: "The KVM probe could not write its boot sector; guests are emulated.")
        }
        defer { unlink(sector) }
        return await boot(sector)
    }

    private func boot(_ sector: String) async -> Finding {
        let finding = await withTaskGroup(of: Finding?.self) { group in
            group.addTask { await outcome(of: sector) }
            group.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? nil
        }
        return finding
            ?? Finding(
                type: .qemu,
                reason: "A test guest under KVM did not boot within \(limit); guests are emulated in software.")
    }

    private func outcome(of sector: String) async -> Finding {
        do {
            let result = try await Subprocess.run(
                .name(emulator),
                arguments: [
                    "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "pc,accel=kvm",
                    "-cpu", "host", "-m", "16", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x01",
                    "-drive", "if=floppy,format=raw,readonly=on,file=\(sector)", "-boot", "a",
                ],
                output: .discarded, error: .string(limit: 16 * 1024))
            switch result.terminationStatus {
            case .exited(BootSector.exitStatus):
                return Finding(type: .kvm, reason: "A test guest booted under KVM.")
            case .exited, .signaled:
                let said = result.standardError.split(whereSeparator: \.isNewline).last.map { " (\($0))" } ?? ""
                return Finding(
                    type: .qemu, reason: "A test guest under KVM failed\(said); guests are emulated in software.")
            }
        } catch {
            return Finding(
                type: .qemu, reason: "The KVM probe could not run \(emulator); guests are emulated in software.")
        }
    }
}

/// A boot sector that tells QEMU to exit with a status that nothing else gives.
private enum BootSector {
    /// QEMU's debug device exits with twice the byte that is written to it, plus one.
    static let exitStatus: Int32 = 0x31 * 2 + 1

    /// Writes it to a new file and returns its path; the caller removes it.
    static func write() -> String? {
        // mov al, 0x31; out 0xf4, al; cli; hlt; and again, should the halt ever end.
        let code: [UInt8] = [0xB0, 0x31, 0xE6, 0xF4, 0xFA, 0xF4, 0xEB, 0xFC]
        // As big as a floppy disk, or the firmware does not read it as one.
        var image = [UInt8](repeating: 0, count: 1_474_560)
        image.replaceSubrange(0..<code.count, with: code)
        image[510] = 0x55
        image[511] = 0xAA
        var template = Array("/tmp/roost-kvm-probe-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
        guard Glibc.write(file, image, image.count) == image.count else {
            if let path { unlink(path) }
            return nil
        }
        return path
    }
}
