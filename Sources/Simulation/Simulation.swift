import ControlPlane
package import Domain

/// One run of a world from a seed: a storm of requests and faults, then quiet, in which all must come to rest.
package struct Simulation {
    package struct Outcome: Sendable {
        package let seed: UInt64
        package let violations: [String]
        package let digest: UInt64
        package let steps: Int
        package let time: Duration
        /// The latest of what happened.
        package let story: [String]
    }

    package let seed: UInt64
    package var size = World.Size()
    package var defect: World.Defect?
    /// How long things break and people ask.
    package var storm: Duration = .seconds(300)
    /// How long it may take until all is at rest.
    package var quiet: Duration = .seconds(600)

    package init(seed: UInt64) { self.seed = seed }

    package func run() throws -> Outcome {
        let world = try World(seed: seed, size, defect: defect)
        let workload = Workload(world: world)
        var oracle = Oracle(world: world)
        world.begin()
        workload.begin(until: storm)
        while world.scheduler.now < storm, oracle.violations.isEmpty, world.scheduler.step() { try oracle.look() }
        workload.mend()
        var isAtRest = false
        while world.scheduler.now < storm + quiet, oracle.violations.isEmpty, world.scheduler.step() {
            try oracle.look()
            if world.scheduler.steps % 512 == 0, try oracle.unsettled().isEmpty {
                isAtRest = true
                break
            }
        }
        if oracle.violations.isEmpty, !isAtRest { oracle.violations = try oracle.unsettled().map { "law 11: \($0)" } }
        return Outcome(
            seed: seed, violations: oracle.violations, digest: world.trace.digest, steps: world.scheduler.steps,
            time: world.scheduler.now, story: world.trace.last(120))
    }
}
