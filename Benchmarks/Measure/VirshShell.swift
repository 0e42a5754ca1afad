import Foundation

/// One long-lived `virsh`, so that what its commands take has no start of a process in it.
final class VirshShell {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var unread: [UInt8] = []

    init(uri: String) throws {
        process.executableURL = URL(filePath: "/usr/bin/env")
        // Its output is a pipe, which it would otherwise fill before it writes.
        process.arguments = ["stdbuf", "-oL", "-eL", "virsh", "--connect", uri]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        _ = try ask("hostname")
    }

    /// Ends the shell.
    func close() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Cuts the power of a domain; returns how long it took.
    func destroy(_ domain: String) throws -> Duration {
        let clock = ContinuousClock()
        let begin = clock.now
        let answer = try ask("destroy \(domain)")
        let took = clock.now - begin
        guard answer.contains("destroyed") else { throw MeasureFailed("virsh destroy: \(answer)") }
        return took
    }

    /// Returns the first line of the answer that is neither empty nor a prompt.
    private func ask(_ command: String) throws -> String {
        unread = []
        try input.fileHandleForWriting.write(contentsOf: Data("\(command)\n".utf8))
        while true {
            while let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: unread[..<end], as: UTF8.self)
                unread.removeFirst(end + 1)
                let isEcho = line.hasPrefix("virsh #") || line.hasSuffix(command)
                if !isEcho, !Self.greeting.contains(where: line.contains), !line.isEmpty { return line }
            }
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw MeasureFailed("virsh has ended.") }
            unread += more
        }
    }

    private static let greeting = ["Welcome to virsh", "Type:", "'quit' to quit"]
}

/// `virsh destroy` as one types it: the wall time of the whole command.
func runVirshDestroy(_ domain: String, uri: String) throws -> Duration {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["virsh", "--connect", uri, "destroy", domain]
    process.standardOutput = FileHandle.nullDevice
    let clock = ContinuousClock()
    let begin = clock.now
    try process.run()
    process.waitUntilExit()
    let took = clock.now - begin
    guard process.terminationStatus == 0 else { throw MeasureFailed("virsh destroy failed.") }
    return took
}
