import Foundation
import Testing

@Suite struct RandomWalkTests {
    /// `ROOST_WALK_SEEDS=N` walks N fresh seeds, `ROOST_WALK_SEED=S` the one that is named.
    private static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["ROOST_WALK_SEED"].flatMap(UInt64.init) { return [seed] }
        let fresh = environment["ROOST_WALK_SEEDS"].flatMap(Int.init) ?? 1
        return Array(1...24) + (0..<fresh).map { _ in UInt64.random(in: 0...UInt64.max) }
    }()

    @Test func `whatever goes wrong, the record never says stopped of a VM that runs, and all settles`() async throws {
        print("random walks, the last fresh: \(Self.seeds.last ?? 0)")
        for seed in Self.seeds {
            let walk = try await RandomWalk(seed: seed)
            do { try await walk.run(steps: 60) } catch { Issue.record("seed \(seed): \(error)") }
        }
    }
}
