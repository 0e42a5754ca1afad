import Domain
import Foundation
import Testing

@testable import ImageStore

@Suite struct ImageFilesTests {
    private let image = ImageID(trusted: "00000000-0000-4000-8000-000000000001")
    private let directory = NSTemporaryDirectory() + "roost-images-\(UUID().uuidString)"

    private func inDirectory(_ body: (DiskImageFiles) async throws -> Void) async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await body(try DiskImageFiles(directory: directory))
    }

    private func store(
        _ files: DiskImageFiles, _ part: ImageFile.Part, _ bytes: [UInt8], rawDisk: Bool = false,
        limit: Int64 = 1 << 30
    ) async throws -> ImageFile {
        try await files.store(part, of: image, rawDisk: rawDisk, limit: limit, from: pieces(bytes))
    }

    private func pieces(_ bytes: [UInt8]) -> AsyncThrowingStream<[UInt8], any Error> {
        AsyncThrowingStream { stream in
            var rest = bytes[...]
            while !rest.isEmpty {
                stream.yield(Array(rest.prefix(70_000)))
                rest = rest.dropFirst(70_000)
            }
            stream.finish()
        }
    }

    private func qemuImage(_ arguments: String...) async throws -> [UInt8] {
        let path = "\(directory)/made.img"
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["qemu-img", "create", "-q"] + arguments + [path, "16M"]
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        defer { try? FileManager.default.removeItem(atPath: path) }
        return Array(try Data(contentsOf: URL(filePath: path)))
    }

    private func expectRefused(
        _ files: DiskImageFiles, _ part: ImageFile.Part, _ bytes: [UInt8], saying words: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let fault = await #expect(throws: Fault.self, sourceLocation: sourceLocation) {
            try await store(files, part, bytes)
        }
        #expect(fault?.code == .imageInvalid && fault?.kind == .unprocessable, sourceLocation: sourceLocation)
        #expect(fault?.message.contains(words) == true, "\(fault?.message ?? "")", sourceLocation: sourceLocation)
        let left = try FileManager.default.subpathsOfDirectory(atPath: directory).filter { $0.contains("/") }
        #expect(left.isEmpty, "\(left)", sourceLocation: sourceLocation)
    }

    private func partitioned() -> [UInt8] {
        var disk = [UInt8](repeating: 0, count: 1 << 20)
        disk[446] = 0x80
        disk[450] = 0x83
        disk[510] = 0x55
        disk[511] = 0xAA
        return disk
    }

    @Test func `a qcow2 is stored with its facts and read back`() async throws {
        try await inDirectory { files in
            let bytes = try await qemuImage("-f", "qcow2")
            let file = try await store(files, .disk, bytes)
            #expect(file.format == .qcow2 && file.virtualSize == 16 << 20 && file.size == Int64(bytes.count))
            var back: [UInt8] = []
            for try await piece in try await files.read(.disk, of: image) { back += piece }
            #expect(back == bytes)
        }
    }

    @Test func `a raw disk needs a partition table, or a word that it has none`() async throws {
        try await inDirectory { files in
            try await expectRefused(files, .disk, [UInt8](repeating: 0, count: 1 << 20), saying: "no raw disk")
            try await expectRefused(files, .disk, Array("hello".utf8), saying: "not a multiple of 512")
            var kernel = partitioned()
            kernel.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
            try await expectRefused(files, .disk, kernel, saying: "no raw disk")
            #expect(try await store(files, .disk, partitioned()).format == .raw)
            try await files.remove(image)
            let bare = try await store(files, .disk, [UInt8](repeating: 0, count: 4096), rawDisk: true)
            #expect(bare.format == .raw && bare.virtualSize == 4096)
        }
    }

    @Test func `a disk that names another file is refused before any program opens it`() async throws {
        try await inDirectory { files in
            let base = "\(directory)/base.qcow2"
            _ = FileManager.default.createFile(atPath: base, contents: Data(try await qemuImage("-f", "qcow2")))
            let backed = try await qemuImage("-f", "qcow2", "-b", base, "-F", "qcow2")
            let external = try await qemuImage("-f", "qcow2", "-o", "data_file=\(directory)/data.raw")
            for name in ["base.qcow2", "data.raw"] {
                try? FileManager.default.removeItem(atPath: "\(directory)/\(name)")
            }
            try await expectRefused(files, .disk, backed, saying: "backing file")
            try await expectRefused(files, .disk, external, saying: "external data file")
        }
    }

    @Test func `other formats and damaged disks are refused by name`() async throws {
        try await inDirectory { files in
            try await expectRefused(files, .disk, try await qemuImage("-f", "vmdk"), saying: "vmdk")
            try await expectRefused(files, .disk, try await qemuImage("-f", "vdi"), saying: "vdi")
            var damaged = try await qemuImage("-f", "qcow2")
            damaged.replaceSubrange(20..<24, with: [0, 0, 0, 99])  // The size of a cluster.
            try await expectRefused(files, .disk, damaged, saying: "cannot be opened as qcow2")
            try await expectRefused(files, .disk, Array(damaged.prefix(60)), saying: "ends within its header")
        }
    }

    @Test func `kernels and initrds are known by their magic`() async throws {
        try await inDirectory { files in
            try await expectRefused(files, .kernel, Array("hello".utf8), saying: "no x86 Linux kernel")
            try await expectRefused(files, .initrd, Array("hello".utf8), saying: "no initrd")
            try await expectRefused(files, .kernel, [], saying: "empty")
            #expect(try await store(files, .kernel, [0x7F, 0x45, 0x4C, 0x46, 2]).format == .kernel)
            #expect(try await store(files, .initrd, [0x28, 0xB5, 0x2F, 0xFD, 0]).format == .initrd)
        }
    }

    @Test func `the same file again is welcome, another one is not`() async throws {
        try await inDirectory { files in
            let first = try await store(files, .initrd, Array("070701 a".utf8))
            #expect(try await store(files, .initrd, Array("070701 a".utf8)) == first)
            let fault = await #expect(throws: Fault.self) { try await store(files, .initrd, Array("070701 b".utf8)) }
            #expect(fault?.kind == .conflict)
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(directory)/\(image)")
            #expect(names == ["initrd"])
        }
    }

    @Test func `past the limit, or cut off, nothing is left`() async throws {
        struct CutOff: Error {}
        try await inDirectory { files in
            let fault = await #expect(throws: Fault.self) {
                try await store(files, .disk, partitioned(), limit: 100_000)
            }
            #expect(fault?.code == .bodyTooLarge)
            let stream = AsyncThrowingStream<[UInt8], any Error> { stream in
                stream.yield(partitioned())
                stream.finish(throwing: CutOff())
            }
            await #expect(throws: CutOff.self) {
                try await files.store(.disk, of: image, rawDisk: false, limit: 1 << 30, from: stream)
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: "\(directory)/\(image)")
            #expect(left.isEmpty)
        }
    }

    @Test func `what a crashed upload left is removed at the start, and stored files stay`() async throws {
        try await inDirectory { files in
            _ = try await store(files, .initrd, Array("070701".utf8))
            _ = FileManager.default.createFile(atPath: "\(directory)/\(image)/.upload-x", contents: Data([1]))
            _ = try DiskImageFiles(directory: directory)
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory)/\(image)") == ["initrd"])
        }
    }

    @Test func `a probe that takes too long is ended, and the disk refused`() async throws {
        try await inDirectory { _ in
            let program = "\(directory)/slow"
            _ = FileManager.default.createFile(
                atPath: program, contents: Data("#!/bin/sh\nexec sleep 600\n".utf8),
                attributes: [.posixPermissions: 0o700])
            let probe = DiskProbe(program: program, limit: .milliseconds(50))
            let fault = await #expect(throws: Fault.self) {
                try await probe.virtualSize(of: "/dev/null", format: .raw)
            }
            #expect(fault?.code == .imageInvalid && fault?.message.contains("could not be examined within") == true)
        }
    }
}
