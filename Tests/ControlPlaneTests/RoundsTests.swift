import ControlPlane
import Domain
import Foundation
import Logging
import Platform
import SQLStore
import Testing

@Suite struct RoundsTests {
    /// The record is written by both sides as fast as they can, on a file with real commits.
    @Test func `200 rounds of deferred stop against a start elsewhere never say stopped of a VM that runs`()
        async throws
    {
        let directory = NSTemporaryDirectory() + "roost-rounds-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let feed = CommitFeed()
        let store = try SQLiteDatabase(
            path: "\(directory)/roost.db", clock: SystemTime(), faults: NoFaultPoints(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onCommit: { _, jobs in feed.committed(jobsTouched: jobs) })
        defer { store.close() }
        // All of the rounds' VMs stay on B.
        let rig = try await Rig(store: store, feed: feed) { $0.capacity.cpuRatio = Ratio(thousandths: 64_000) }
        try await rig.connect(rigHostB)
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SplitMix(state: seed)
        var outcomes: [String: Int] = [:]
        for round in 0..<200 {
            let outcome = try await runRound(round, rig, pauses: (random.microseconds(), random.microseconds()))
            outcomes[outcome, default: 0] += 1
        }
        print("rounds: \(outcomes)")
        #expect(outcomes.count > 1, "only one order was ever seen: the rounds do not race")
    }

    /// VM `v` is stopping on A; the stop's answer is written while an operator fences A and starts it on B.
    private func runRound(_ round: Int, _ rig: Rig, pauses: (Int, Int)) async throws -> String {
        let name = "v\(round)"
        let caller = Rig.operatorCaller
        let old = Placement(host: rigHostA, epoch: Epoch(1))
        let id = VMID(from: SystemIDs())
        try await rig.database.write("round") { tx in
            try tx.insert(
                VM(
                    id: id, name: name, image: ImageID(trusted: "dddddddd-0000-4000-8000-000000000004"), cpus: 1,
                    memory: 16, state: .stopping(old, waiting: .hostDisconnected), epoch: Epoch(1),
                    lastPlacement: old, domainSeen: true, createdAt: tx.now, updatedAt: tx.now))
        }
        async let stopped: Bool = {
            try await Task.sleep(for: .microseconds(pauses.0))
            return try await rig.database.write("change") { tx in
                let change = ChangeVMState(
                    vm: id, event: .stopped(.requested), expectedHost: rigHostA, expectedEpoch: Epoch(1))
                guard case .applied = try tx.apply(change) else { return false }
                return true
            }
        }()
        async let started: Job = {
            try await Task.sleep(for: .microseconds(pauses.1))
            _ = try await rig.hostService.fence("a", proof: "round \(round)", by: caller)
            return try await rig.vms.start(name, on: "b", by: caller)
        }()
        let (wasApplied, _) = try await (stopped, started)
        let vm = try await rig.vm(name)
        #expect(vm.state == .starting(Placement(host: rigHostB, epoch: Epoch(2))), "round \(round): \(vm.state)")
        // Late copies of the same change find the newer placement and change nothing.
        let late = try await rig.database.write("late") { tx in
            let change = ChangeVMState(
                vm: id, event: .stopped(.requested), expectedHost: rigHostA, expectedEpoch: Epoch(1))
            guard case .superseded = try tx.apply(change) else { return false }
            return true
        }
        #expect(late)
        #expect(try await rig.vm(name).state.label == .starting)
        return wasApplied ? "the stop came first" : "the start came first"
    }
}

/// A small seeded generator, so that a failure's delays can be had again.
struct SplitMix {
    var state: UInt64

    mutating func microseconds() -> Int { below(1500) }

    /// A number in `0..<limit`.
    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(limit))
    }
}
