import AgentDisk
import Domain
import Foundation
import HostAgent
import Platform
import Synchronization
import Testing

@Suite struct PoolStorageTests {
    private let directory: TemporaryDirectory
    private let vm = VMID(from: SystemIDs())

    init() throws { directory = try TemporaryDirectory() }

    private func storage(_ fetcher: any ImageFetcher, host: String = "h1") throws -> PoolStorage {
        try PoolStorage(
            directory: "\(directory.path)/pool", consoleDirectory: "\(directory.path)/\(host)", fetcher: fetcher,
            ids: SystemIDs())
    }

    @Test func `hosts that share a pool agree on its identity`() async throws {
        let pools = try await withThrowingTaskGroup(of: PoolID.self) { group in
            for host in 1...8 { group.addTask { try storage(Upload([:]), host: "h\(host)").pool } }
            return try await group.reduce(into: Set<PoolID>()) { $0.insert($1) }
        }
        #expect(pools.count == 1)
        #expect(try storage(Upload([:])).pool == pools.first)
    }

    @Test func `an unreadable identity is an error, not a new identity`() throws {
        _ = try storage(Upload([:]))
        try directory.write("{}", to: "pool/pool.json")
        let fault = try #require(throws: Fault.self) { _ = try storage(Upload([:])) }
        #expect(fault.message.contains("pool.json"))
    }

    @Test func `an image is fetched once, also for guests that start together`() async throws {
        let upload = Upload([.kernel: Array(repeating: 1, count: 300_000), .initrd: [2, 3]])
        let storage = try storage(upload)
        let source = upload.source(.kernel, commandLine: "console=ttyS0")
        let boots = try await withThrowingTaskGroup(of: BootFiles.self) { group in
            for _ in 1...6 {
                group.addTask { try await storage.prepare(VMID(from: SystemIDs()), from: source, mayMakeDisk: true) }
            }
            return try await group.reduce(into: Set<BootFiles>()) { $0.insert($1) }
        }
        let folder = "\(directory.path)/pool/images/\(source.id)"
        #expect(
            boots == [.kernel(kernel: "\(folder)/kernel", initrd: "\(folder)/initrd", commandLine: "console=ttyS0")])
        #expect(upload.fetches.withLock { $0 } == 2)
        #expect(directory.names("pool/images/\(source.id)") == ["initrd", "kernel"])
        #expect(try Data(contentsOf: URL(filePath: "\(folder)/initrd")) == Data([2, 3]))
    }

    @Test func `two hosts may fetch the same image into a shared pool at once`() async throws {
        let upload = Upload([.kernel: Array(repeating: 1, count: 900_000), .initrd: [2]])
        let source = upload.source(.kernel)
        let hosts = [try storage(upload, host: "h1"), try storage(upload, host: "h2")]
        try await withThrowingTaskGroup(of: BootFiles.self) { group in
            for host in hosts { group.addTask { try await host.prepare(vm, from: source, mayMakeDisk: true) } }
            try await group.waitForAll()
        }
        #expect(directory.names("pool/images/\(source.id)") == ["initrd", "kernel"])
    }

    @Test(arguments: [[UInt8](repeating: 9, count: 10), [1, 2], [UInt8](repeating: 1, count: 11)])
    func `an image that did not arrive as it was uploaded is not kept`(arrived: [UInt8]) async throws {
        let source = Upload([.kernel: Array(repeating: 1, count: 10), .initrd: [2]]).source(.kernel)
        let storage = try storage(Upload([.kernel: arrived, .initrd: [2]]))
        let fault = await #expect(throws: Fault.self) { try await storage.prepare(vm, from: source, mayMakeDisk: true) }
        #expect(fault?.code == .imageInvalid)
        #expect(directory.names("pool/images/\(source.id)").isEmpty)
    }

    @Test func `a transfer that breaks says why, and the next try succeeds`() async throws {
        let upload = Upload([.kernel: [1], .initrd: [2]], failures: 1)
        let storage = try storage(upload)
        let source = upload.source(.kernel)
        let fault = await #expect(throws: Fault.self) { try await storage.prepare(vm, from: source, mayMakeDisk: true) }
        #expect(fault?.code == .hostUnreachable)
        _ = try await storage.prepare(vm, from: source, mayMakeDisk: true)
    }

    @Test func `a root disk is an overlay with a relative backing file, made once and never replaced`() async throws {
        let image = try await rawImage()
        let upload = Upload([.disk: image])
        let source = upload.source(.disk, format: .raw)
        let storage = try storage(upload)
        let path = "\(directory.path)/pool/disks/\(vm).qcow2"
        #expect(try await storage.prepare(vm, from: source, mayMakeDisk: true) == .disk(path))
        let header = try Data(contentsOf: URL(filePath: path)).prefix(64 * 1024)
        #expect(header.prefix(4) == Data([0x51, 0x46, 0x49, 0xFB]))
        #expect(header.range(of: Data("../images/\(source.id)/disk".utf8)) != nil)
        try directory.write("the guest's data", to: "pool/disks/\(vm).qcow2")
        #expect(try await storage.prepare(vm, from: source, mayMakeDisk: true) == .disk(path))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "the guest's data")
        #expect(directory.names("pool/disks") == ["\(vm).qcow2"])
    }

    @Test func `what qemu-img refuses is told in its words, and leaves nothing`() async throws {
        let upload = Upload([.disk: Array("this is no qcow2".utf8)])
        let storage = try storage(upload)
        let fault = await #expect(throws: Fault.self) {
            try await storage.prepare(vm, from: upload.source(.disk, format: .qcow2), mayMakeDisk: true)
        }
        #expect(fault?.message.contains("The root disk of VM \(vm) could not be made") == true)
        #expect(directory.names("pool/disks").isEmpty)
    }

    @Test func `removing a VM takes its disk and log, and may be repeated`() async throws {
        let upload = Upload([.disk: try await rawImage()])
        let storage = try storage(upload)
        _ = try await storage.prepare(vm, from: upload.source(.disk, format: .raw), mayMakeDisk: true)
        try await storage.release(vm)
        #expect(directory.names("pool/disks") == ["\(vm).qcow2"])
        for _ in 1...2 { try await storage.remove(vm) }
        #expect(directory.names("pool/disks").isEmpty)
        #expect(directory.names("h1").isEmpty)
    }

    @Test func `the console log gives its last bytes, and is put aside when it is long`() async throws {
        let upload = Upload([.kernel: [1], .initrd: [2]])
        let storage = try storage(upload)
        #expect(try await storage.readConsoleLog(of: vm, limit: 100) == [])
        _ = try await storage.prepare(vm, from: upload.source(.kernel), mayMakeDisk: true)
        #expect(try await storage.readConsoleLog(of: vm, limit: 100) == [])
        try directory.write("hello, world", to: "h1/\(vm).log")
        #expect(storage.consoleLog(of: vm) == "\(directory.path)/h1/\(vm).log")
        #expect(try await storage.readConsoleLog(of: vm, limit: 5) == Array("world".utf8))
        #expect(try await storage.readConsoleLog(of: vm, limit: 500) == Array("hello, world".utf8))
        try directory.write(String(repeating: "x", count: (10 << 20) + 1), to: "h1/\(vm).log")
        _ = try await storage.prepare(vm, from: upload.source(.kernel), mayMakeDisk: true)
        #expect(directory.names("h1") == ["\(vm).log", "\(vm).log.1"])
        #expect(try await storage.readConsoleLog(of: vm, limit: 5) == [])
    }

    @Test func `disks and logs of all VMs are listed with their size, and other files are not`() async throws {
        let storage = try storage(Upload([:]))
        #expect(try await storage.heldFiles() == [])
        let other = VMID(from: SystemIDs())
        try directory.write("four", to: "pool/disks/\(vm).qcow2")
        try directory.write("x", to: "pool/disks/notes.qcow2")
        try directory.write("x", to: "pool/disks/\(vm).qcow2.bak")
        try directory.write("half a disk", to: "pool/disks/.new-\(other).qcow2-1-2")
        try directory.write("12345", to: "h1/\(other).log")
        try directory.write("67", to: "h1/\(other).log.1")
        try directory.write("x", to: "h1/readme.log")
        try directory.write("x", to: "h1/\(vm).txt")
        #expect(
            try await storage.heldFiles() == [
                HeldFile(vm: vm, kind: .rootDisk, bytes: 4), HeldFile(vm: other, kind: .consoleLog, bytes: 7),
            ])
        // Another host of the pool sees the disk, and not this host's logs.
        #expect(
            try await self.storage(Upload([:]), host: "h2").heldFiles() == [
                HeldFile(vm: vm, kind: .rootDisk, bytes: 4)
            ])
    }

    private func rawImage() async throws -> [UInt8] { [UInt8](repeating: 0, count: 1 << 20) }
}

/// An image on a server, which counts its fetches.
private final class Upload: ImageFetcher {
    let fetches = Mutex(0)
    private let content: [ImageFile.Part: [UInt8]]
    private let failures: Mutex<Int>
    private let image = ImageID(from: SystemIDs())

    init(_ content: [ImageFile.Part: [UInt8]], failures: Int = 0) {
        self.content = content
        self.failures = Mutex(failures)
    }

    func source(_ kind: Image.Kind, format: ImageFile.Format = .kernel, commandLine: String = "") -> ImageSource {
        let files = content.map { part, bytes in
            let size = Int64(bytes.count)
            return ImageFile(part: part, format: format, size: size, virtualSize: size, sha256: Self.sha256(bytes))
        }
        return ImageSource(id: image, kind: kind, commandLine: commandLine, files: files)
    }

    /// By a program of the system's, so that the tests do not check an implementation against itself.
    private static func sha256(_ bytes: [UInt8]) -> String {
        let program = Process()
        program.executableURL = URL(filePath: "/usr/bin/sha256sum")
        let (input, output) = (Pipe(), Pipe())
        (program.standardInput, program.standardOutput) = (input, output)
        do { try program.run() } catch { return "sha256sum cannot be run: \(error)" }
        input.fileHandleForWriting.write(Data(bytes))
        input.fileHandleForWriting.closeFile()
        return String(decoding: output.fileHandleForReading.readDataToEndOfFile().prefix(64), as: UTF8.self)
    }

    func fetch(
        _ part: ImageFile.Part, of image: ImageID
    ) async throws(Fault) -> any AsyncSequence<[UInt8], any Error> & Sendable {
        fetches.withLock { $0 += 1 }
        let fails = failures.withLock { failures in
            failures -= 1
            return failures >= 0
        }
        let bytes = content[part] ?? []
        return AsyncThrowingStream<[UInt8], any Error> { continuation in
            for start in stride(from: 0, to: bytes.count, by: 64 * 1024) {
                continuation.yield(Array(bytes[start..<min(start + 64 * 1024, bytes.count)]))
            }
            continuation.finish(
                throwing: fails ? Fault(.unavailable, .hostUnreachable, "The server went away.") : nil)
        }
    }
}
