import Foundation
import Testing

/// Which modules a folder's files may import, besides the standard library's own.
private let layers: [(folder: String, imports: Set<String>)] = [
    ("Sources/Core/Domain", []),
    ("Sources/Core/ControlPlane", ["Domain", "Logging"]),
    ("Sources/Core/HostAgent", ["Domain", "Logging"]),
    ("Sources/Contract/APIContract", []),
    ("Sources/Contract/AgentContract", ["Domain", "GRPCCore", "GRPCProtobuf", "SwiftProtobuf"]),
    ("Sources/Adapters/Platform", ["Domain", "Logging", "Dispatch", "FoundationEssentials", "Glibc"]),
    ("Sources/Adapters/Identity", ["X509", "Crypto", "SwiftASN1", "FoundationEssentials", "Glibc"]),
    ("Sources/Adapters/SQLStore", ["Domain", "ControlPlane", "Logging", "GRDB", "CLibpq", "Foundation", "Glibc"]),
    ("Sources/Adapters/ImageStore", ["Domain", "ControlPlane", "Crypto", "Subprocess", "Foundation", "Glibc"]),
    (
        "Sources/Adapters/LibvirtHypervisor",
        ["Domain", "HostAgent", "CLibvirt", "Subprocess", "Glibc"]
    ),
    ("Sources/Adapters/AgentDisk", ["Domain", "HostAgent", "Crypto", "Subprocess", "FoundationEssentials", "Glibc"]),
    (
        "Sources/Adapters/HostGateway",
        [
            "Domain", "ControlPlane", "AgentContract", "Identity", "Logging", "GRPCCore", "GRPCNIOTransportHTTP2Posix",
            "X509", "ServiceLifecycle", "Foundation",
        ]
    ),
    (
        "Sources/Adapters/ServerLink",
        [
            "Domain", "HostAgent", "AgentContract", "Identity", "Logging", "GRPCCore", "GRPCNIOTransportHTTP2Posix",
            "ServiceLifecycle", "X509", "FoundationEssentials",
        ]
    ),
    (
        "Sources/Adapters/MigrationTunnel",
        [
            "Domain", "HostAgent", "Identity", "Logging", "NIOCore", "NIOPosix", "NIOSSL", "X509",
            "FoundationEssentials",
            "Glibc",
        ]
    ),
    (
        "Sources/Adapters/APIServer",
        [
            "Domain", "ControlPlane", "APIContract", "Logging", "Crypto", "Hummingbird", "HummingbirdTLS", "HTTPTypes",
            "HummingbirdCore", "ServiceLifecycle", "NIOCore", "NIOSSL", "NIOPosix", "Foundation",
        ]
    ),
    (
        "Sources/Adapters/APIClient",
        ["APIContract", "AsyncHTTPClient", "NIOCore", "NIOSSL", "FoundationEssentials", "Glibc"]
    ),
    ("Sources/Simulation", ["Domain", "ControlPlane", "HostAgent", "SQLStore", "Logging"]),
    (
        "Sources/Executables/roost",
        ["APIContract", "APIClient", "ArgumentParser", "Yams", "FoundationEssentials", "Glibc"]
    ),
]

private let standardLibrary: Set<String> = ["Swift", "Synchronization", "_Concurrency"]

/// What Core may not name, and what takes its place.
private let bansInCore: [(pattern: String, instead: String)] = [
    (#"\bDate\("#, "take the time from `TimeSource`"),
    (#"\bUUID\("#, "take ids from `IDSource`"),
    (#"Task\.sleep"#, "use `TimeSource.sleep`"),
    (#"\bTask \{"#, "use a task group: work belongs to the one who waits for it"),
    (#"Task\.detached"#, "use a task group"),
    (#"\.random\("#, "take randomness from `RandomSource`"),
    (#"\bactor "#, "use a `Mutex`: nothing may leave the executor that was passed in"),
    (#"ContinuousClock|SuspendingClock"#, "use `TimeSource.monotonic`"),
    (#"\.wall\(\)"#, "rows are dated by the transaction's `now`, which all nodes share"),
]

private let bansEverywhere: [(pattern: String, instead: String)] = [
    ("FIX" + "ME", "mend it, or file it"),
    ("TO" + "DO", "do it, or file it"),
    (#"\btry!"#, "handle the error, or let it through"),
    (#"\bas!"#, "use `as?` and say what happens otherwise"),
    (
        #"^public (struct|class|enum|func|protocol|let|var|init|final)"#,
        "use `package`: nothing here is a library for others"
    ),
]

@Suite struct LayerTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The hand-written Swift files below `folder`, as path and text.
    private static func files(below folder: String) throws -> [(path: String, text: String)] {
        let base = root.appending(path: folder).path()
        guard let walk = FileManager.default.enumerator(atPath: base) else { return [] }
        return try walk.compactMap { $0 as? String }
            .filter { $0.hasSuffix(".swift") && !$0.contains("Generated/") }
            .map { ("\(folder)/\($0)", try String(contentsOfFile: "\(base)/\($0)", encoding: .utf8)) }
            .sorted { $0.0 < $1.0 }
    }

    @Test func `each file imports only what its layer allows`() throws {
        let pattern = try Regex(
            #"^(?:@\w+ )*(?:package |internal |public |private |fileprivate )?import (?:struct |class |enum |func )?(\w+)"#
        )
        .anchorsMatchLineEndings()
        for layer in layers {
            let found = try Self.files(below: layer.folder)
            #expect(!found.isEmpty, "\(layer.folder) has no files: remove it from the table")
            for file in found {
                for match in file.text.matches(of: pattern) {
                    let module = String(match[1].substring ?? "")
                    let isAllowed = layer.imports.contains(module) || standardLibrary.contains(module)
                    #expect(isAllowed, "\(file.path) imports \(module), which its layer does not allow")
                }
            }
        }
    }

    @Test func `every target's folder is in the table, or is an executable that only composes`() throws {
        let known = Set(layers.map(\.folder)).union(["Sources/Executables/roostd", "Sources/Executables/roost-agent"])
        for group in try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "Sources").path()) {
            let path = "Sources/\(group)"
            if known.contains(path) { continue }
            for target in try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: path).path()) {
                #expect(known.contains("\(path)/\(target)"), "\(path)/\(target) is not in the table of layers")
            }
        }
    }

    @Test func `Core takes time, ids and randomness from outside`() throws {
        try expectNone(of: bansInCore, in: Self.files(below: "Sources/Core"))
    }

    @Test func `nothing that is banned is in the sources`() throws {
        try expectNone(of: bansEverywhere, in: Self.files(below: "Sources"))
    }

    @Test func `files and functions stay readable`() throws {
        for file in try Self.files(below: "Sources") {
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count
            #expect(lines <= 450, "\(file.path) has \(lines) lines: it tells more than one story")
        }
    }

    @Test func `an unsafe escape carries its proof`() throws {
        for file in try Self.files(below: "Sources") {
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
            for (index, line) in lines.enumerated()
            where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") {
                let next = index + 1 < lines.count ? lines[index + 1] : ""
                let before = index > 0 ? lines[index - 1] : ""
                #expect(
                    next.contains("//") || before.contains("//"),
                    "\(file.path):\(index + 1) has no proof beside it")
            }
        }
    }

    private func expectNone(
        of bans: [(pattern: String, instead: String)], in files: [(path: String, text: String)]
    ) throws {
        for ban in bans {
            let pattern = try Regex(ban.pattern)
            for file in files {
                for (index, line) in file.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                    let code = line.contains("//") ? line[..<(line.range(of: "//")?.lowerBound ?? line.endIndex)] : line
                    let text = ban.pattern.hasPrefix("FIX") || ban.pattern.hasPrefix("TO") ? line : code
                    let isClean = text.firstMatch(of: pattern) == nil
                    #expect(isClean, "\(file.path):\(index + 1): \(line) — \(ban.instead)")
                }
            }
        }
    }
}
