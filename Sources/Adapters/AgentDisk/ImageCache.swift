import Crypto
import Domain
import Glibc
import HostAgent
import Synchronization

/// The images in a pool: `images/<image id>/<part>`. A file that has its name is whole and was checked.
final class ImageCache: Sendable {
    private let directory: String
    private let fetcher: any ImageFetcher
    /// Files that this agent fetches now, so that VMs started together fetch them once.
    private let underWay = Mutex<[String: Task<Void, any Error>]>([:])

    init(directory: String, fetcher: any ImageFetcher) throws(FileFailure) {
        self.directory = directory
        self.fetcher = fetcher
        try DurableFile.makeDirectory(directory, mode: 0o711)
        // Of another host's fetch into the same pool, or of one that a crash ended.
        for image in try DurableFile.names(in: directory) {
            try DurableFile.sweep("\(directory)/\(image)", olderThan: 24 * 60 * 60)
        }
    }

    /// The path of `part`, which is fetched and checked unless it is there.
    func path(_ part: ImageFile.Part, of image: ImageSource) async throws(Fault) -> String {
        guard let file = image.files.first(where: { $0.part == part }) else {
            throw Fault(.unprocessable, .imageNotReady, "The image \(image.id) has no \(part.rawValue).")
        }
        let folder = "\(directory)/\(image.id)"
        let path = "\(folder)/\(part.rawValue)"
        if let size = DurableFile.size(path) {
            guard size == file.size else {
                throw Fault(
                    .unavailable, .imageInvalid, "The image file \(path) was changed on this host.",
                    hint: "Remove it there; it is fetched again.")
            }
            return path
        }
        do { try DurableFile.makeDirectory(folder, mode: 0o711) } catch { throw error.fault }
        do { try await fetchOnce(file, of: image.id, into: folder, key: path) } catch {
            throw error as? Fault
                ?? Fault(
                    .unavailable, .commandFailed, "The \(part.rawValue) of image \(image.id) could not be fetched.",
                    hint: "Check the host's connection to the server, and try again.")
        }
        return path
    }

    private func fetchOnce(_ file: ImageFile, of image: ImageID, into folder: String, key: String) async throws {
        let task = underWay.withLock { tasks in
            if let task = tasks[key] { return task }
            let task = Task {
                defer { self.underWay.withLock { $0[key] = nil } }
                try await fetch(file, of: image, into: folder)
            }
            tasks[key] = task
            return task
        }
        try await task.value
    }

    private func fetch(_ file: ImageFile, of image: ImageID, into folder: String) async throws {
        let name = file.part.rawValue
        // The one before may have ended between the look and the fetch.
        if DurableFile.size("\(folder)/\(name)") == file.size { return }
        try checkSpace(for: file, image, folder)
        let temporary = DurableFile.temporaryPath(for: name, in: folder)
        do {
            try await download(file, of: image, to: temporary)
            _ = try DurableFile.publish(temporary, as: name, in: folder)
        } catch {
            unlink(temporary)
            throw (error as? FileFailure)?.fault ?? error
        }
    }

    private func download(_ file: ImageFile, of image: ImageID, to path: String) async throws {
        // Readable for all, as libvirt's QEMU user reads it; an image holds no secrets of a tenant.
        let output = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw FileFailure("write", path) }
        defer { close(output) }
        var hash = SHA256()
        var size: Int64 = 0
        for try await chunk in try await fetcher.fetch(file.part, of: image) {
            size += Int64(chunk.count)
            guard size <= file.size else { break }
            hash.update(data: chunk)
            try DurableFile.writeAll(chunk, to: output, at: path)
        }
        guard size == file.size, hash.finalize().hexadecimal == file.sha256 else {
            throw Fault(
                .unavailable, .imageInvalid,
                "The \(file.part.rawValue) of image \(image) did not arrive as it was uploaded.",
                hint: "Try again; if it happens again, upload the image anew.")
        }
        try DurableFile.sync(file: output, at: path)
    }

    private func checkSpace(for file: ImageFile, _ image: ImageID, _ folder: String) throws {
        var info = statvfs()
        guard statvfs(folder, &info) == 0 else { throw FileFailure("use", folder) }
        let free = Int64(info.f_bavail) * Int64(info.f_frsize)
        guard free >= file.size else {
            throw Fault(
                .unavailable, .noCapacity,
                "The pool has \(free >> 20) MiB free, and the \(file.part.rawValue) of image \(image) needs \(file.size >> 20).",
                hint: "Free some space in the host's pool.")
        }
    }
}

extension SHA256.Digest {
    fileprivate var hexadecimal: String {
        let digits = Array("0123456789abcdef")
        return String(flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
