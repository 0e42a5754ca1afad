import ArgumentParser
import ControlPlane
import Domain
import Foundation
import SQLStore

/// The job engine on a store that fsyncs: how fast it ends jobs that wait, and how soon a single one.
struct JobsMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs", abstract: "Jobs that do nothing, from written to ended.")

    @Option(name: .long, help: "A directory on the disk to measure; made, and removed at the end.")
    var directory: String

    @Option(name: .long, help: "The postgres:// URL of an empty database; SQLite in the directory without one.")
    var database: String?

    @Option(name: .long, help: "How many jobs wait.")
    var jobs = 100_000

    @Option(name: .long, help: "How many single jobs are timed.")
    var samples = 500

    @Option(
        name: .long, help: "What others reach on the same database, and how many times that is wanted: NAME=RATE=TIMES."
    )
    var peer: [PeerRate] = []

    mutating func run() async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let name = database == nil ? "SQLite" : "PostgreSQL"
        let location = database.flatMap(StoreLocation.init(url:)) ?? .sqlite(path: "\(directory)/roost.db")
        let bench = try JobBench(location)
        defer { bench.close() }
        try await bench.addHost()

        let single = try await bench.latencies(of: samples)
        Figure(
            name: "one job on an idle system, \(name), p50", value: "\(single.median.tenths) ms", limit: "< 4.0 ms",
            isMet: single.median < 4
        ).print()
        Figure(
            name: "one job on an idle system, \(name), p99", value: "\(single.percentile(99).tenths) ms",
            limit: "< 10.0 ms", isMet: single.percentile(99) < 10
        ).print()

        tell("jobs: \(jobs) jobs are written")
        try await bench.write(jobs)
        let before = ProcessTable.processorTime()
        let took = try await bench.drain()
        let worked = ProcessTable.processorTime() - before
        try await bench.checkAllEndedOnce(jobs + samples)
        let rate = Double(jobs) / took.seconds
        Figure(name: "jobs that waited, ended by the engine, \(name)", value: "\(Int(rate)) a second").print()
        Figure(
            name: "processor time of that in this process, a job",
            value: "\((worked.milliseconds * 1000 / Double(jobs)).tenths) us"
        ).print()
        for peer in peer {
            Figure(name: "\(peer.name)", value: "\(Int(peer.rate)) a second").print()
            let ratio = rate / peer.rate
            Figure(
                name: "Roost's for each of \(peer.name)", value: ratio.tenths, limit: ">= \(peer.times.tenths)",
                isMet: ratio >= peer.times
            ).print()
        }
    }
}

/// How many jobs a second another queue ends.
struct PeerRate: ExpressibleByArgument {
    let name: String
    let rate: Double
    /// How many times as many are wanted.
    let times: Double

    init?(argument: String) {
        let parts = argument.split(separator: "=").map(String.init)
        guard parts.count == 3, let rate = Double(parts[1]), rate > 0, let times = Double(parts[2]) else { return nil }
        self.name = parts[0]
        self.rate = rate
        self.times = times
    }
}
