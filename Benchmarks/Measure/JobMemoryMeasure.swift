import ArgumentParser
import ControlPlane
import Domain
import Foundation
import SQLStore

/// What a process uses that has written, run, ended and removed very many jobs.
struct JobMemoryMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job-memory", abstract: "Resident memory after many jobs in one process.")

    @Option(name: .long, help: "A directory on the disk to measure; made, and removed at the end.")
    var directory: String

    @Option(name: .long, help: "How many jobs in all.")
    var jobs = 1_000_000

    @Option(name: .long, help: "How many of them before the first look.")
    var first = 100_000

    @Option(name: .long, help: "How much the memory may have grown since then, in MiB.")
    var limit = 8.0

    private static let chunk = 10_000

    mutating func run() async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let bench = try JobBench(.sqlite(path: "\(directory)/roost.db"), keeping: .zero)
        defer { bench.close() }
        try await bench.addHost()
        var done = 0
        var early = 0.0
        while done < jobs {
            try await bench.write(Self.chunk)
            _ = try await bench.drain()
            try await bench.retire()
            done += Self.chunk
            if done == first { early = try Self.resident() }
            if done.isMultiple(of: 100_000) { tell("jobs: \(done) done, \(try Self.resident().tenths) MiB") }
        }
        let late = try Self.resident()
        Figure(name: "resident after \(first) jobs", value: "\(early.tenths) MiB").print()
        Figure(name: "resident after \(done) jobs", value: "\(late.tenths) MiB").print()
        Figure(
            name: "growth between", value: "\((late - early).tenths) MiB", limit: "< \(limit.tenths) MiB",
            isMet: late - early < limit
        ).print()
    }

    private static func resident() throws -> Double {
        Double(try ProcessTable.memory(of: getpid()).resident) / 1024
    }
}
