package import Domain
import FoundationEssentials
package import HostAgent

/// The `HostStorage` in a pool directory, which several hosts may share, and this host's own directory of console logs.
package final class PoolStorage: HostStorage {
    package let pool: PoolID
    private let images: ImageCache
    private let disks: RootDisks
    private let logs: ConsoleLogs

    /// Opens the pool in `directory`, which is made if need be; `consoleDirectory` belongs to this host alone.
    ///
    /// QEMU's user must be able to reach both. Throws a `Fault`.
    package init(directory: String, consoleDirectory: String, fetcher: any ImageFetcher, ids: any IDSource) throws {
        do {
            try DurableFile.makeDirectory(directory, mode: 0o711)
            images = try ImageCache(directory: "\(directory)/images", fetcher: fetcher)
            disks = try RootDisks(directory: "\(directory)/disks")
            logs = try ConsoleLogs(directory: consoleDirectory)
        } catch let failure as FileFailure {
            throw failure.fault
        }
        pool = try Self.identity(of: directory, ids: ids)
    }

    package func prepare(
        _ vm: VMID, from image: ImageSource, mayMakeDisk: Bool
    ) async throws(Fault) -> BootFiles {
        let boot: BootFiles
        switch image.kind {
        case .kernel:
            boot = .kernel(
                kernel: try await images.path(.kernel, of: image), initrd: try await images.path(.initrd, of: image),
                commandLine: image.commandLine)
        case .disk:
            _ = try await images.path(.disk, of: image)
            let format = image.files.first { $0.part == .disk }?.format ?? .qcow2
            guard mayMakeDisk || disks.exists(vm) else {
                throw Fault(
                    .conflict, .diskElsewhere, "The root disk of VM \(vm) is not in this host's pool.",
                    hint: "Check that the hosts mount the same pool.")
            }
            try await disks.make(vm, over: "../images/\(image.id)/\(ImageFile.Part.disk.rawValue)", format)
            boot = .disk(disks.path(vm))
        }
        do { try logs.prepare(vm) } catch { throw error.fault }
        return boot
    }

    package func consoleLog(of vm: VMID) -> String { logs.path(vm) }

    package func readConsoleLog(of vm: VMID, limit: Int) async throws(Fault) -> [UInt8] {
        do { return try logs.read(vm, limit: limit) } catch { throw error.fault }
    }

    package func heldFiles() async throws(Fault) -> [HeldFile] {
        do { return try disks.held() + logs.held() } catch { throw error.fault }
    }

    /// A placement holds nothing here besides the root disk; the console log stays to be read.
    package func release(_ vm: VMID) async throws(Fault) {}

    package func removeConsoleLog(of vm: VMID) async throws(Fault) {
        do { try logs.remove(vm) } catch { throw error.fault }
    }

    package func remove(_ vm: VMID) async throws(Fault) {
        try disks.remove(vm)
        try await removeConsoleLog(of: vm)
    }

    // MARK: Identity

    private struct Identity: Codable { let pool: PoolID }

    /// The pool's stored identity, or a new one that every host on this pool then reads.
    private static func identity(of directory: String, ids: any IDSource) throws -> PoolID {
        let name = "pool.json"
        let path = "\(directory)/\(name)"
        do {
            if try DurableFile.read(path) == nil {
                let fresh = [UInt8](try JSONEncoder().encode(Identity(pool: PoolID(from: ids))))
                _ = try DurableFile.create(fresh, as: name, in: directory)
            }
            if let bytes = try DurableFile.read(path),
                let identity = try? JSONDecoder().decode(Identity.self, from: Data(bytes))
            {
                return identity.pool
            }
        } catch let failure as FileFailure {
            throw failure.fault
        }
        throw Fault(
            .unavailable, .internalError, "The pool's identity in \(path) cannot be read.",
            hint: "Restore the file; a new identity would hide the pool's disks from the server.")
    }
}
