import Foundation

/// Files that are whole or not there, and readable by the owner only.
enum PrivateFile {
    static func write(_ bytes: [UInt8], to file: String, mode: mode_t = 0o600) throws {
        let part = "\(file).part"
        try? FileManager.default.removeItem(atPath: part)
        let descriptor = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(bytes))
        try handle.synchronize()
        guard rename(part, file) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }
}
