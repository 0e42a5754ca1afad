import Foundation
import Testing

/// Each simulation runs in a process of its own, in which sets have the order that the seed's replay has.
@Suite(.serialized) struct SimulationTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path()

    private struct Run {
        let status: Int32
        let output: String

        /// The seeds' digests.
        var digests: [Substring] { output.matches(of: #/digest ([0-9a-f]+)/#).map(\.output.1) }
    }

    private func simulate(_ arguments: String...) throws -> Run {
        let programs = ProcessInfo.processInfo.environment["ROOST_BIN"] ?? "\(Self.root)/.build/debug"
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "\(programs)/roost-sim")
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Run(status: process.terminationStatus, output: String(decoding: output, as: UTF8.self))
    }

    @Test func `through a storm of faults the laws hold, and all comes to rest`() throws {
        let fixed = try simulate("--seed", "1", "--count", "20")
        #expect(fixed.status == 0, "\(fixed.output)")
        #expect(fixed.digests.count == 20)
        let seed = UInt64.random(in: 1_000...1_000_000_000)
        print("simulations of the seeds from \(seed) on: make sim SEED=\(seed) SEEDS=10")
        let fresh = try simulate("--seed", "\(seed)", "--count", "10")
        #expect(fresh.status == 0, "\(fresh.output)")
    }

    @Test func `the same seed gives the same trace in every process`() throws {
        let first = try simulate("--seed", "7", "--storm", "60")
        #expect(first.digests.count == 1)
        for _ in 2...20 {
            #expect(try simulate("--seed", "7", "--storm", "60").digests == first.digests)
        }
        #expect(try simulate("--seed", "8", "--storm", "60").digests != first.digests)
    }

    @Test(arguments: [("arrives-running", "law 1"), ("absent-when-down", "law 2")])
    func `the oracle sees what is wrong on purpose`(defect: String, law: String) throws {
        let run = try simulate("--defect", defect, "--seed", "1", "--count", "40", "--storm", "600")
        #expect(run.status == 1)
        #expect(run.output.contains("VIOLATION \(law)"), "\(run.output.suffix(2000))")
    }
}
