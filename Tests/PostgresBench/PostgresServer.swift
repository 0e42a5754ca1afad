import Foundation
import Synchronization

/// A real PostgreSQL server for tests, with a cluster of its own. It ends with this process, however that ends.
package final class PostgresServer: Sendable {
    /// What could not be done with the server.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let directory: String
    private let process: Process
    private let words: FileHandle
    private let answers: FileHandle
    /// One command at a time.
    private let turn = Mutex(0)

    private static let program = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Bench/postgres").path()

    /// The server that tests share which neither stop it nor load it. Each test uses a database of its own.
    package static let shared = Result { try PostgresServer(settings: "fsync = off") }

    /// Makes a cluster and starts it.
    ///
    /// - Parameter settings: more lines for `postgresql.conf`.
    package init(settings: String = "") throws {
        directory = "/tmp/roost-pg-\(UUID().uuidString.prefix(8).lowercased())"
        let (input, output) = (Pipe(), Pipe())
        process = Process()
        process.executableURL = URL(filePath: Self.program)
        process.arguments = [directory]
        process.environment = ProcessInfo.processInfo.environment.merging(["ROOST_POSTGRES_SETTINGS": settings]) { $1 }
        process.standardInput = input
        process.standardOutput = output
        words = input.fileHandleForWriting
        answers = output.fileHandleForReading
        try process.run()
        // Held by this process alone, their end tells the other side of its end.
        try? input.fileHandleForReading.close()
        try? output.fileHandleForWriting.close()
        try awaitDone("initdb")
        try command("start")
    }

    deinit { end() }

    package func start() throws { try command("start") }

    /// As an upgrade of the package does it: clients are cut off, what is committed is kept.
    package func stop() throws { try command("stop") }

    /// Nothing is written any more; the next start recovers.
    package func crash() throws { try command("crash") }

    /// A power cut: as a crash, and no client is told.
    package func kill() throws { try command("kill") }

    package func end() {
        try? words.close()
        process.waitUntilExit()
    }

    /// A new, empty database, as `--database` names it.
    package func makeDatabase() throws -> String {
        let name = "t\(UUID().uuidString.replacing("-", with: "").lowercased())"
        try run("CREATE DATABASE \(name) TEMPLATE template0", on: "postgres")
        return url(of: name)
    }

    /// Removes a database that `makeDatabase` made, whoever is still connected to it.
    package func drop(_ url: String) throws {
        let name = url.dropFirst("postgres:///".count).prefix { $0 != "?" }
        try run("DROP DATABASE \(name) WITH (FORCE)", on: "postgres")
    }

    package func url(of database: String) -> String { "postgres:///\(database)?host=\(directory)&user=roost" }

    /// Runs one statement with psql and returns what it printed, a line for each row.
    @discardableResult
    package func run(_ sql: String, on database: String) throws -> [String] {
        let psql = Process()
        let (out, err) = (Pipe(), Pipe())
        psql.executableURL = URL(filePath: "/usr/bin/psql")
        psql.arguments = [
            "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql,
            database.contains("://") ? database : url(of: database),
        ]
        psql.standardOutput = out
        psql.standardError = err
        try psql.run()
        let text = String(decoding: try out.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let complaint = String(decoding: try err.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        psql.waitUntilExit()
        guard psql.terminationStatus == 0 else { throw Failure(description: "psql: \(complaint)") }
        return text.split(separator: "\n").map(String.init)
    }

    private func command(_ word: String) throws {
        try turn.withLock { _ in
            try words.write(contentsOf: Data("\(word)\n".utf8))
            try awaitDone(word)
        }
    }

    private func awaitDone(_ word: String) throws {
        var line: [UInt8] = []
        while let byte = try answers.read(upToCount: 1)?.first {
            if byte == UInt8(ascii: "\n") { break }
            line.append(byte)
        }
        guard String(decoding: line, as: UTF8.self) == "done" else {
            let log = (try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? ""
            throw Failure(description: "PostgreSQL: '\(word)' failed.\n\(log.suffix(2000))")
        }
    }
}
