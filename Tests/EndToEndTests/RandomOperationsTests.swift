import Foundation
import Synchronization
import Testing

extension EndToEnd {
    /// Many operations at once on many VMs, among faults, on a bench of its own.
    ///
    /// An operation is a request that the server accepted, or a fault. The seed decides what is asked and what breaks; what is
    /// accepted, and when it takes effect, is up to the machine. `ROOST_E2E_SEED` repeats a plan, `ROOST_E2E_OPERATIONS`
    /// changes its length, and `ROOST_E2E_JOURNAL` names a file for all that was done.
    @Suite(.serialized) struct RandomOperations {
        private static let stretch = 100
        /// How many of these are faults.
        private static let faultCount = 8
        private static let userCount = 6

        @Test func `a thousand random operations among random faults: at every quiet point record and hosts agree`()
            async throws
        {
            let environment = ProcessInfo.processInfo.environment
            let seed = environment["ROOST_E2E_SEED"].flatMap { UInt64($0) } ?? .random(in: 0..<1_000_000_000)
            let count = environment["ROOST_E2E_OPERATIONS"].flatMap { Int($0) } ?? 1000
            print("\(count) random operations: ROOST_E2E_SEED=\(seed)")
            let bench = try await Bench.up(hosts: RandomPlan.hostCount, "random")
            let journal = RandomJournal()
            do {
                try await run(count, seed, bench, journal)
            } catch {
                journal.violated("the run broke off: \(error)")
            }
            print("random operations of seed \(seed): \(journal.summary)")
            if !journal.violations.isEmpty { Issue.record(Comment(rawValue: report(journal, seed, bench))) }
            if let path = environment["ROOST_E2E_JOURNAL"] {
                try journal.last(.max).joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
            }
            await bench.down()
        }

        private func run(_ count: Int, _ seed: UInt64, _ bench: Bench, _ journal: RandomJournal) async throws {
            let api = BenchAPI(directory: bench.directory)
            let sight = HostSight(directory: bench.directory)
            let users = RandomUsers(api: api, journal: journal)
            let faults = RandomFaults(bench: bench, api: api, sight: sight, journal: journal)
            let oracle = RandomOracle(bench: bench, api: api, sight: sight, journal: journal)
            let guest = try await Guest.build()
            for (number, words) in RandomPlan.images.enumerated() {
                try await bench.roost(
                    "image", "create", "guest\(number)", "--kernel", "\(guest)/vmlinuz", "--initrd", "\(guest)/initrd",
                    "--append", "console=ttyS0 quiet mitigations=off \(words)")
            }
            for vm in 0..<RandomPlan.vmCount { try await users.create(vm, image: vm % RandomPlan.images.count) }
            let watch = Task { await oracle.watch() }
            defer { watch.cancel() }
            var wishes = RandomPlan(seed: seed)
            var breaks = RandomPlan(seed: ~seed)
            for _ in 0..<max(count / Self.stretch, 1) where journal.violations.isEmpty {
                let accepted = Self.stretch - Self.faultCount
                let planned = (0..<Self.faultCount).map { _ in breaks.fault(within: accepted) }
                let stretch = Stretch(
                    wishes: wishes, accepted: accepted, faults: planned.sorted { $0.position < $1.position })
                let start = ContinuousClock.now
                try await storm(stretch, users, faults)
                wishes = stretch.wishes
                journal.note(
                    "\(stretch.accepted) of \(accepted) requests and \(planned.count) faults in \(.now - start)")
                if stretch.accepted < accepted { journal.violated("too few requests were accepted") }
                try await oracle.quiet()
                print(journal.last(2).joined(separator: "\n"))
            }
            try await oracle.check.checkOperations()
        }

        /// Several users have wishes, and two hands break something, each once so many wishes were accepted as it says.
        private func storm(_ stretch: Stretch, _ users: RandomUsers, _ faults: RandomFaults) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<Self.userCount {
                    group.addTask {
                        while let wish = stretch.nextWish() {
                            if try await users.carryOut(wish) { stretch.accept() }
                        }
                    }
                }
                for _ in 0..<2 {
                    group.addTask {
                        while let fault = stretch.nextFault() {
                            try await until("it is the turn of \(fault)", limit: 300) {
                                stretch.accepted >= fault.position || stretch.isLate
                            }
                            try await faults.happen(fault)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }

        /// What is left of a number of operations.
        private final class Stretch: Sendable {
            private struct Rest {
                var wishes: RandomPlan
                var accepted = 0
                var faults: [RandomPlan.Fault]
            }

            private let rest: Mutex<Rest>
            private let quota: Int
            private let deadline = ContinuousClock.now + .seconds(180)

            init(wishes: RandomPlan, accepted quota: Int, faults: [RandomPlan.Fault]) {
                rest = Mutex(Rest(wishes: wishes, faults: faults))
                self.quota = quota
            }

            var wishes: RandomPlan { rest.withLock { $0.wishes } }
            var accepted: Int { rest.withLock { $0.accepted } }
            var isLate: Bool { ContinuousClock.now > deadline }

            func accept() { rest.withLock { $0.accepted += 1 } }

            func nextWish() -> RandomPlan.Wish? {
                guard !isLate else { return nil }
                return rest.withLock { $0.accepted < quota ? $0.wishes.wish() : nil }
            }

            func nextFault() -> RandomPlan.Fault? {
                rest.withLock { $0.faults.isEmpty ? nil : $0.faults.removeFirst() }
            }
        }

        /// All that is needed to understand a violation.
        private func report(_ journal: RandomJournal, _ seed: UInt64, _ bench: Bench) -> String {
            var lines =
                ["ROOST_E2E_SEED=\(seed)"] + journal.violations + ["", "the last operations:"] + journal.last(60)
            let ids = Set(journal.violations.flatMap { Self.ids(in: $0) })
            for log in ["server.log"] + RandomOracle.hosts.map({ "\($0)/agent.log" }) {
                guard let text = try? String(contentsOfFile: "\(bench.directory)/\(log)", encoding: .utf8) else {
                    continue
                }
                lines += ["", "\(log), about what is wrong:"]
                lines += text.split(separator: "\n").filter { line in ids.contains { line.contains($0) } }.suffix(60)
                    .map(String.init)
            }
            return lines.joined(separator: "\n")
        }

        /// The ids of VMs, operations and jobs, and the names of domains.
        private static func ids(in text: String) -> [String] {
            text.matches(of: #/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\bv\d+-[0-9a-f]{8}\b/#).map {
                String($0.output.0)
            }
        }
    }
}
