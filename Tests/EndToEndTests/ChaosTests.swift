import APIContract
import Foundation
import Synchronization
import Testing

extension EndToEnd {
    /// Three servers on one PostgreSQL, six simulated hosts and two real ones, among faults of every part.
    ///
    /// `ROOST_E2E_SEED` repeats a plan, `ROOST_E2E_ROUNDS` changes its length, `ROOST_E2E_JOURNAL` names a file for all that
    /// was done, beside which the logs are kept.
    @Suite(.serialized) struct Chaos {
        private static let stretch = 20
        private static let userCount = 5

        @Test func `two hundred rounds of faults on three nodes: nothing lost, nothing twice, no state wrong`()
            async throws
        {
            let environment = ProcessInfo.processInfo.environment
            let seed = environment["ROOST_E2E_SEED"].flatMap { UInt64($0) } ?? .random(in: 0..<1_000_000_000)
            let rounds = environment["ROOST_E2E_ROUNDS"].flatMap { Int($0) } ?? 200
            print("\(rounds) rounds of faults: ROOST_E2E_SEED=\(seed)")
            let journal = RandomJournal()
            let chaos = try await ChaosBench.up(journal)
            do { try await run(rounds, seed, chaos) } catch { journal.violated("the run broke off: \(error)") }
            print("faults of seed \(seed): \(journal.summary)")
            if !journal.violations.isEmpty {
                let report = ["ROOST_E2E_SEED=\(seed)"] + journal.violations + ["", "the last:"] + journal.last(80)
                Issue.record(Comment(rawValue: report.joined(separator: "\n")))
            }
            if let path = environment["ROOST_E2E_JOURNAL"] {
                try journal.last(.max).joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
                try chaos.keepLogs(in: "\(path)-logs")
            }
            await chaos.down()
        }

        private func run(_ rounds: Int, _ seed: UInt64, _ chaos: ChaosBench) async throws {
            // From here on the third node lives in tomorrow, and in the second half of the rounds in the day before yesterday.
            try await chaos.restartServer(3, clock: "+1d")
            try await chaos.join()
            let account = ChaosAccount(chaos)
            try await ChaosScenes(chaos: chaos).play()
            let users = ChaosUsers(chaos, seed: seed)
            try await users.createAll()
            let watch = Task { await chaos.check.watcher.run() }
            defer { watch.cancel() }
            let faults = ChaosFaults(chaos)
            var plan = ChaosPlan(seed: ~seed)
            for first in stride(from: 0, to: rounds, by: Self.stretch) where chaos.journal.violations.isEmpty {
                if first >= rounds / 2, first < rounds / 2 + Self.stretch {
                    try await chaos.restartServer(3, clock: "-2d")
                }
                let drawn = (first..<min(first + Self.stretch, rounds)).map { _ in plan.round() }
                let start = ContinuousClock.now
                try await storm(drawn, users, faults)
                let broken = ContinuousClock.now
                try await quiet(chaos)
                chaos.journal.note("\(drawn.count) rounds in \(broken - start), quiet in \(.now - broken)")
                print(chaos.journal.last(1).joined(separator: "\n"))
            }
            try await account.check()
            print(chaos.journal.last(3).joined(separator: "\n"))
        }

        /// Users have wishes all the while, and each round breaks something before what the one before broke is whole.
        private func storm(_ rounds: [ChaosPlan.Round], _ users: ChaosUsers, _ faults: ChaosFaults) async throws {
            let over = Over()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<Self.userCount { group.addTask { try await users.run { !over.isSet } } }
                for host in ChaosBench.real { group.addTask { try await users.run(onReal: host) { !over.isSet } } }
                group.addTask {
                    defer { over.set() }
                    try await withThrowingTaskGroup(of: Void.self) { happening in
                        for round in rounds {
                            let target = try await faults.claim(round)
                            happening.addTask { try await faults.happen(round, to: target) }
                            try await Task.sleep(for: .milliseconds(500))
                        }
                        try await happening.waitForAll()
                    }
                }
                try await group.waitForAll()
            }
        }

        private final class Over: Sendable {
            private let state = Mutex(false)
            var isSet: Bool { state.withLock { $0 } }
            func set() { state.withLock { $0 = true } }
        }

        /// Everything works again: what was accepted ends, and records and hosts agree.
        private func quiet(_ chaos: ChaosBench) async throws {
            try await chaos.mend()
            try await chaos.check.settle("nothing is under way", limit: 75) { try await chaos.check.unfinished() }
            try await chaos.check.settle("records and hosts agree", limit: 15) { try await chaos.check.differences() }
        }
    }
}
