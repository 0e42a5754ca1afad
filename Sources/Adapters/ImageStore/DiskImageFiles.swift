import ControlPlane
package import Domain
import Foundation

/// Image files under one directory: `IMAGE/PART`, each whole and checked.
///
/// One process may use a directory at a time.
package struct DiskImageFiles: ImageFiles {
    private let directory: String
    private let probe: DiskProbe

    private static let draftPrefix = ".upload-"
    /// What is gathered before it is written.
    private static let writeLength = 1 << 20

    /// Creates the directory if need be and removes what uploads of an earlier process left unfinished.
    package init(directory: String, probeLimit: Duration = .seconds(30)) throws {
        self.directory = directory
        probe = DiskProbe(limit: probeLimit)
        try Self.make(directory)
        removeDrafts()
    }

    package func store(
        _ part: ImageFile.Part, of image: ImageID, rawDisk: Bool, limit: Int64,
        from bytes: any AsyncSequence<[UInt8], any Error> & Sendable
    ) async throws -> ImageFile {
        let queue = BlockingQueue()
        let folder = folder(of: image)
        let draft = "\(folder)/\(Self.draftPrefix)\(UUID().uuidString.lowercased())"
        let file = try await queue.run {
            try Self.make(folder)
            try UploadFile.syncDirectory(directory)
            return try UploadFile(path: draft)
        }
        do {
            try await receive(bytes, into: file, limit: limit, queue)
            let facts = try await check(file, part, rawDisk: rawDisk)
            try await queue.run {
                try file.sync()
                try publish(file, facts, of: image)
            }
            return facts
        } catch {
            try await queue.run { file.discard() }
            throw error
        }
    }

    /// Gives the checked file its name, unless the image has another file there: none is ever replaced.
    private func publish(_ file: UploadFile, _ facts: ImageFile, of image: ImageID) throws {
        let target = path(facts.part, of: image)
        guard try !file.publish(as: target, in: folder(of: image)) else { return }
        file.discard()
        // The same file again is what a repeated upload finds whose record was not written: it is welcome.
        guard try StoredFile(path: target).sha256() == facts.sha256 else {
            throw Fault(
                .conflict, .invalidState, "The image has another file as its \(facts.part.rawValue) already.",
                hint: "Delete the image and create it again.")
        }
    }

    package func read(
        _ part: ImageFile.Part, of image: ImageID
    ) async throws -> any AsyncSequence<[UInt8], any Error> & Sendable {
        let path = path(part, of: image)
        let queue = BlockingQueue()
        let file = try await queue.run { try StoredFile(path: path) }
        return StoredBytes(file: file, queue: queue)
    }

    /// Removes all files of the image; does nothing when there are none.
    package func remove(_ image: ImageID) async throws {
        let folder = folder(of: image)
        try await BlockingQueue().run {
            guard FileManager.default.fileExists(atPath: folder) else { return }
            do {
                try FileManager.default.removeItem(atPath: folder)
            } catch {
                throw Fault(
                    .unavailable, .storeUnavailable, "The server cannot remove the image's files.",
                    hint: "Check owner and rights of the server's data directory.")
            }
            try UploadFile.syncDirectory(directory)
        }
    }

    private func receive(
        _ bytes: any AsyncSequence<[UInt8], any Error> & Sendable, into file: UploadFile, limit: Int64,
        _ queue: BlockingQueue
    ) async throws {
        var gathered: [UInt8] = []
        var received: Int64 = 0
        for try await piece in bytes {
            received += Int64(piece.count)
            guard received <= limit else {
                throw Fault(.tooLarge, .bodyTooLarge, "The file is larger than \(limit) bytes.")
            }
            gathered += piece
            guard gathered.count >= Self.writeLength else { continue }
            try await queue.run { [gathered] in try file.append(gathered) }
            gathered = []
        }
        try await queue.run { [gathered] in try file.append(gathered) }
    }

    private func check(_ file: UploadFile, _ part: ImageFile.Part, rawDisk: Bool) async throws -> ImageFile {
        guard file.size > 0 else { throw Fault.invalidImage(part, "is empty.") }
        let format: ImageFile.Format
        var virtualSize = file.size
        switch part {
        case .kernel:
            try FileCheck.kernel(file.head)
            format = .kernel
        case .initrd:
            try FileCheck.initrd(file.head)
            format = .initrd
        case .disk:
            format = try FileCheck.diskFormat(file.head, size: file.size, rawDisk: rawDisk)
            if format == .qcow2 { try QcowHeader.check(file.head) }
            virtualSize = try await probe.virtualSize(of: file.path, format: format)
        }
        return ImageFile(part: part, format: format, size: file.size, virtualSize: virtualSize, sha256: file.sha256)
    }

    private func folder(of image: ImageID) -> String { "\(directory)/\(image)" }

    private func path(_ part: ImageFile.Part, of image: ImageID) -> String { "\(folder(of: image))/\(part.rawValue)" }

    private static func make(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Fault(
                .unavailable, .storeUnavailable, "The server cannot create its directory for images.",
                hint: "Check owner and rights of the server's data directory.")
        }
    }

    private func removeDrafts() {
        let files = FileManager.default
        for image in (try? files.contentsOfDirectory(atPath: directory)) ?? [] {
            let folder = "\(directory)/\(image)"
            for name in (try? files.contentsOfDirectory(atPath: folder)) ?? [] where name.hasPrefix(Self.draftPrefix) {
                try? files.removeItem(atPath: "\(folder)/\(name)")
            }
        }
    }
}
