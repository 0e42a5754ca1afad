import Foundation
import Synchronization

/// What a program said, and how it ended.
struct Output: Sendable {
    let status: Int32
    let out: String
    let err: String

    /// The standard output as JSON.
    func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(out.utf8))
    }
}

/// A program that did not end as it should.
struct ProgramFailed: Error, CustomStringConvertible {
    let description: String
}

enum Program {
    /// Runs a program to its end, off the cooperative pool; it is killed when it takes longer than `limit` seconds.
    static func run(
        _ path: String, _ arguments: [String], environment: [String: String] = [:], limit: Double = 120
    ) async throws -> Output {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try runBlocking(path, arguments, environment, limit) })
            }
        }
    }

    /// Not with Foundation's `Process`, which takes a program for alive as long as a daemon that it left behind is.
    private static func runBlocking(
        _ path: String, _ arguments: [String], _ environment: [String: String], _ limit: Double
    ) throws -> Output {
        let folder = FileManager.default.temporaryDirectory.appending(path: "roost-run-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let pid = try spawn(path, arguments, environment, out: "\(folder)/out", err: "\(folder)/err")
        let status = try wait(for: pid, limit, "\(path) \(arguments.joined(separator: " "))")
        let texts = try ["out", "err"].map {
            String(decoding: try Data(contentsOf: URL(filePath: "\(folder)/\($0)")), as: UTF8.self)
        }
        return Output(status: status, out: texts[0], err: texts[1])
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String: String], out: String, err: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT, 0o600)
        let variables = ProcessInfo.processInfo.environment.merging(environment) { _, newer in newer }
        var argv = ([path] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in argv + envp { free(text) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &actions, nil, &argv, &envp)
        guard error == 0 else { throw ProgramFailed(description: "\(path): \(String(cString: strerror(error)))") }
        return pid
    }

    /// The exit status of `pid`, or 128 and the signal that ended it.
    private static func wait(for pid: pid_t, _ limit: Double, _ what: String) throws -> Int32 {
        let deadline = ContinuousClock.now + .seconds(limit)
        var status: Int32 = 0
        while true {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid { break }
            guard ended == 0, ContinuousClock.now < deadline else {
                kill(pid, SIGKILL)
                waitpid(pid, &status, 0)
                throw ProgramFailed(description: "\(what) took longer than \(limit) s")
            }
            usleep(2000)
        }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }
}
