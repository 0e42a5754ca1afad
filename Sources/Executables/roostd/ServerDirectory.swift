import APIContract
import Crypto
import Domain
import Foundation
import Platform

/// The server's data directory: mode 0700, owned by this process alone while it runs; and what the servers of one
/// database share, which is in the same place where there is one server.
struct ServerDirectory: Sendable {
    let path: String
    private let shared: String
    private let lock: DataDirectoryLock

    init(_ path: String, shared: String?) throws {
        // Absolute, because clients read the hint file's paths from elsewhere.
        self.path = Self.absolute(path)
        self.shared = shared.map(Self.absolute) ?? self.path
        lock = try DataDirectoryLock(directory: self.path, mode: 0o700)
        for folder in [authority, images] {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
    }

    var database: String { "\(path)/roost.db" }
    var authority: String { "\(shared)/ca" }
    var images: String { "\(shared)/images" }
    var tokenFile: String { "\(shared)/admin.token" }

    private static func absolute(_ path: String) -> String {
        let path = URL(filePath: path).standardizedFileURL.path()
        return path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    /// Runs `body` while no other server makes keys in the shared directory.
    func whileAlone<Result>(_ body: () throws -> Result) throws -> Result {
        let descriptor = open("\(shared)/keys.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
        }
        defer { close(descriptor) }
        return try body()
    }

    /// The directory's own id, made at the first start: its lock proves that a former process with it is over.
    func place() throws -> String {
        let file = "\(path)/node.id"
        if let known = try? String(contentsOfFile: file, encoding: .utf8) {
            let id = known.trimmingCharacters(in: .whitespacesAndNewlines)
            if !id.isEmpty { return id }
        }
        let fresh = UUID().uuidString.lowercased()
        try PrivateFile.write(Array("\(fresh)\n".utf8), to: file)
        return fresh
    }

    /// The SHA-256 of the admin token, which is made at the first start.
    func adminTokenHash() throws -> String {
        if !FileManager.default.fileExists(atPath: tokenFile) {
            let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
            let text = secret.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
                .replacing("=", with: "")
            try PrivateFile.write(Array("roost_\(text)\n".utf8), to: tokenFile)
        }
        let token = try String(contentsOfFile: tokenFile, encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        guard token.utf8.count >= 20 else {
            throw Fault(
                .bug, .internalError, "The file \(tokenFile) holds no token.",
                hint: "Remove it and start again: a new one is made.")
        }
        return SHA256.hash(data: Data(token.utf8)).map { String(format: "%02x", $0) }.joined()
    }

    /// Lets a client on this machine find the server.
    func writeHint(server: String) throws {
        let hint = ClientHint(server: server, tokenFile: tokenFile)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try PrivateFile.write([UInt8](encoder.encode(hint)) + Array("\n".utf8), to: "\(path)/client.json")
    }
}
