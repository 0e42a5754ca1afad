import APIContract
import Crypto
import Domain
import Foundation
import Platform

/// The server's data directory: mode 0700, owned by this process alone while it runs.
struct ServerDirectory: Sendable {
    let path: String
    private let lock: DataDirectoryLock

    init(_ path: String) throws {
        // Absolute, because clients read the hint file's paths from elsewhere.
        let path = URL(filePath: path).standardizedFileURL.path()
        lock = try DataDirectoryLock(directory: path, mode: 0o700)
        self.path = path.hasSuffix("/") ? String(path.dropLast()) : path
        for folder in [authority, images] {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
    }

    var database: String { "\(path)/roost.db" }
    var authority: String { "\(path)/ca" }
    var images: String { "\(path)/images" }
    var tokenFile: String { "\(path)/admin.token" }

    /// The SHA-256 of the admin token, which is made at the first start.
    func adminTokenHash() throws -> String {
        if !FileManager.default.fileExists(atPath: tokenFile) {
            let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
            let text = secret.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
                .replacing("=", with: "")
            try writePrivately("roost_\(text)\n", to: tokenFile)
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
        try writePrivately(String(decoding: encoder.encode(hint), as: UTF8.self) + "\n", to: "\(path)/client.json")
    }

    /// Whole or not at all, readable by the owner only.
    private func writePrivately(_ text: String, to file: String) throws {
        let part = "\(file).part"
        try? FileManager.default.removeItem(atPath: part)
        let descriptor = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(text.utf8))
        try handle.synchronize()
        guard rename(part, file) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }
}
