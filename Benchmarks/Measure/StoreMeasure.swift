import ArgumentParser
import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import SQLStore

/// Durable state changes by many writers at once, beside a bare loop of commits on the same disk.
struct StoreMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Durable state changes a second, beside bare SQLite commits.")

    @Option(name: .long, help: "A directory on the disk to measure; made, and removed at the end.")
    var directory: String

    @Option(name: .long, help: "How many write at once.")
    var writers = 64

    @Option(name: .long, help: "How long each turn takes, in seconds.")
    var seconds = 3

    @Option(name: .long, help: "How many turns each of the two has.")
    var turns = 5

    @Option(name: .long, help: "How many times as many changes as the bare loop there must be.")
    var limit = 1.0

    mutating func run() async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let bare = try BareSQLite(path: "\(directory)/bare.db")
        let store = try SQLiteDatabase(
            path: "\(directory)/roost.db", clock: SystemTime(), faults: NoFaultPoints(),
            logger: Logger(label: "measure"),
            onCommit: { _, _ in })
        defer { store.close() }
        let machines = try await store.insertRunningVMs(writers, on: HostID(from: SystemIDs()))
        var rates = (bare: [Double](), store: [Double](), ratio: [Double]())
        let before = store.commitCounts
        for turn in 1...turns {
            let plain = try Self.rate(of: bare, for: .seconds(seconds))
            let durable = try await Self.rate(of: store, machines, for: .seconds(seconds))
            rates.bare.append(plain)
            rates.store.append(durable)
            rates.ratio.append(durable / plain)
            tell("store: turn \(turn) of \(turns)")
        }
        let after = store.commitCounts
        let shared = Double(after.bodies - before.bodies) / Double(max(after.commits - before.commits, 1))
        report(bare: rates.bare.median, store: rates.store.median, ratio: rates.ratio.median, shared: shared)
    }

    private func report(bare: Double, store: Double, ratio: Double, shared: Double) {
        Figure(name: "bare SQLite commits, one writer", value: "\(Int(bare)) a second").print()
        Figure(name: "durable state changes, \(writers) writers", value: "\(Int(store)) a second").print()
        Figure(name: "state changes that share a commit, mean", value: shared.tenths).print()
        Figure(
            name: "state changes for each bare commit", value: ratio.tenths, limit: ">= \(limit.tenths)",
            isMet: ratio >= limit
        ).print()
    }

    private static func rate(of bare: BareSQLite, for time: Duration) throws -> Double {
        let clock = ContinuousClock()
        let begin = clock.now
        var changes = 0
        while clock.now < begin + time {
            try bare.change()
            changes += 1
        }
        return Double(changes) / (clock.now - begin).seconds
    }

    /// Each writer takes its own VM to and fro, as a host's reports would: a conditional update and an event in one transaction.
    private static func rate(of store: SQLiteDatabase, _ machines: [VM], for time: Duration) async throws -> Double {
        let clock = ContinuousClock()
        let begin = clock.now
        let changes = try await withThrowingTaskGroup(of: Int.self) { group in
            for machine in machines {
                group.addTask {
                    var changes = 0
                    while clock.now < begin + time {
                        try await change(
                            machine, to: changes.isMultiple(of: 2) ? .hostLost(.hostDisconnected) : .seen(.running),
                            in: store)
                        changes += 1
                    }
                    // Back where it began, for the next turn.
                    if !changes.isMultiple(of: 2) { try await change(machine, to: .seen(.running), in: store) }
                    return changes
                }
            }
            return try await group.reduce(0, +)
        }
        return Double(changes) / (clock.now - begin).seconds
    }

    private static func change(_ machine: VM, to event: VMEvent, in store: SQLiteDatabase) async throws {
        guard let placement = machine.state.placement else { throw MeasureFailed("\(machine.name) has no placement.") }
        let change = ChangeVMState(
            vm: machine.id, event: event, expectedHost: placement.host, expectedEpoch: placement.epoch)
        let reply = try await store.write("measure.change") { tx in try tx.apply(change) }
        guard case .applied = reply else { throw MeasureFailed("A state change was not applied.") }
    }
}

extension [Double] {
    /// NaN when it is empty.
    fileprivate var median: Double {
        guard !isEmpty else { return .nan }
        let sorted = sorted()
        return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
    }
}
