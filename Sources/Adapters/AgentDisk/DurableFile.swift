import Glibc

/// Whole files, written so that after a crash either the old or the new content is there, and never a part of it.
enum DurableFile {
    /// Files being written have names that begin so; one that is found later was left by a crash.
    static let temporaryPrefix = ".new-"

    /// Returns when the content and the name are durable.
    static func write(_ bytes: [UInt8], to name: String, in directory: String) throws(FileFailure) {
        let temporary = try writeTemporary(bytes, for: name, in: directory)
        guard rename(temporary, "\(directory)/\(name)") == 0 else {
            let failure = FileFailure("write", "\(directory)/\(name)")
            unlink(temporary)
            throw failure
        }
        try sync(directory: directory)
    }

    /// The same, but an existing file stays as it is; false then.
    static func create(_ bytes: [UInt8], as name: String, in directory: String) throws(FileFailure) -> Bool {
        try publish(try writeTemporary(bytes, for: name, in: directory), as: name, in: directory)
    }

    /// Gives the finished file at `temporary` its name, unless that is taken: then it is removed, and the answer is false.
    static func publish(_ temporary: String, as name: String, in directory: String) throws(FileFailure) -> Bool {
        // Unlike rename(2), link(2) never replaces what somebody else has made meanwhile.
        let linked = link(temporary, "\(directory)/\(name)") == 0
        let failure = FileFailure("make", "\(directory)/\(name)")
        unlink(temporary)
        guard linked || failure.number == EEXIST else { throw failure }
        try sync(directory: directory)
        return linked
    }

    /// The file's content; nil when there is no such file.
    static func read(_ path: String) throws(FileFailure) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw FileFailure("read", path)
        }
        defer { close(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileFailure("read", path) }
            if count == 0 { return content }
            content += chunk[..<count]
        }
    }

    /// A file that is not there is removed already.
    static func remove(_ name: String, in directory: String) throws(FileFailure) {
        guard unlink("\(directory)/\(name)") == 0 else {
            if errno == ENOENT { return }
            throw FileFailure("remove", "\(directory)/\(name)")
        }
        try sync(directory: directory)
    }

    /// The names in `directory`, but for those of files that were being written.
    static func names(in directory: String) throws(FileFailure) -> [String] {
        try allNames(in: directory).filter { !$0.hasPrefix(".") }
    }

    /// Removes what a crash left half-written at least `age` seconds ago; another host may be writing there now.
    static func sweep(_ directory: String, olderThan age: Int = 0) throws(FileFailure) {
        for name in try allNames(in: directory) where name.hasPrefix(temporaryPrefix) {
            let path = "\(directory)/\(name)"
            if let changed = secondsSinceChange(path), changed >= age { unlink(path) }
        }
    }

    /// nil when there is no such file.
    static func secondsSinceChange(_ path: String) -> Int? {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        return Int(time(nil)) - info.st_mtim.tv_sec
    }

    /// nil when there is no such file.
    static func size(_ path: String) -> Int64? {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        return Int64(info.st_size)
    }

    static func makeDirectory(_ path: String, mode: mode_t) throws(FileFailure) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, mode) == 0 || errno == EEXIST else { throw FileFailure("make the directory", made) }
        }
        var info = stat()
        guard stat(path, &info) == 0 else { throw FileFailure("use the directory", path) }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            throw FileFailure("use the directory", path, number: ENOTDIR)
        }
    }

    /// A path beside `name` that nobody else uses.
    static func temporaryPath(for name: String, in directory: String) -> String {
        "\(directory)/\(temporaryPrefix)\(name)-\(getpid())-\(UInt64.random(in: .min ... .max))"
    }

    static func writeAll(_ bytes: [UInt8], to file: Int32, at path: String) throws(FileFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileFailure("write", path) }
            rest = rest.dropFirst(count)
        }
    }

    static func sync(file: Int32, at path: String) throws(FileFailure) {
        guard fsync(file) == 0 else { throw FileFailure("write", path) }
    }

    static func sync(directory: String) throws(FileFailure) {
        let file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw FileFailure("write to the directory", directory) }
        defer { close(file) }
        try sync(file: file, at: directory)
    }

    private static func writeTemporary(
        _ bytes: [UInt8], for name: String, in directory: String
    ) throws(FileFailure) -> String {
        let temporary = temporaryPath(for: name, in: directory)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FileFailure("write", temporary) }
        defer { close(file) }
        do {
            try writeAll(bytes, to: file, at: temporary)
            try sync(file: file, at: temporary)
        } catch {
            unlink(temporary)
            throw error
        }
        return temporary
    }

    private static func allNames(in directory: String) throws(FileFailure) -> [String] {
        guard let stream = opendir(directory) else { throw FileFailure("list", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
