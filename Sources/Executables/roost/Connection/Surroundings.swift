import FoundationEssentials
import Glibc

/// What the search for a server looks at: the environment and files, both replaceable in tests.
struct Surroundings {
    let environment: [String: String]
    /// The text of a file; nil where there is none.
    let read: (_ path: String) throws(Unreadable) -> String?

    /// The file is there and cannot be read.
    struct Unreadable: Error {
        let path: String
        let detail: String
        let isDenied: Bool
    }

    init(environment: [String: String], read: @escaping (_ path: String) throws(Unreadable) -> String?) {
        self.environment = environment
        self.read = read
    }

    static var process: Surroundings {
        Surroundings(environment: ProcessInfo.processInfo.environment) { path throws(Unreadable) in
            try readFile(path)
        }
    }

    /// The value of a variable that is set to something.
    func variable(_ name: String) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func readFile(_ path: String) throws(Unreadable) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            let isDenied = errno == EACCES || errno == EPERM
            throw Unreadable(path: path, detail: String(cString: strerror(errno)).lowercased(), isDenied: isDenied)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            guard count >= 0 else {
                throw Unreadable(path: path, detail: String(cString: strerror(errno)).lowercased(), isDenied: false)
            }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece[..<count]
            guard bytes.count <= 1 << 20 else {
                throw Unreadable(path: path, detail: "the file is larger than 1 MiB", isDenied: false)
            }
        }
    }
}
