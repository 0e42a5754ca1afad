import ArgumentParser
import Glibc
import Simulation

/// Runs simulations, one after the other, each from its own seed.
@main struct RoostSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost-sim", abstract: "Simulates hosts, agents and a server through faults, from a seed.")

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(help: "How many seeds, each one more than the one before.") var count: UInt64 = 1
    @Option(help: "How long the storm lasts, in seconds of virtual time.") var storm = 300
    @Option(help: "Hosts.") var hosts = 3
    @Option(help: "VMs.") var vms = 6
    @Option(help: "Something that is wrong on purpose: arrives-running or absent-when-down.") var defect: String?
    @Flag(help: "Go on with the next seed after a violation.") var keepGoing = false
    @Flag(help: "Print what happened last, also of a run without a violation.") var story = false

    /// The order of a set's elements is part of what happens, so it must be the same in every process.
    static func hashDeterministically() {
        guard getenv("SWIFT_DETERMINISTIC_HASHING") == nil else { return }
        setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
        execv("/proc/self/exe", CommandLine.unsafeArgv)
        fatalError("the program cannot start itself again: \(String(cString: strerror(errno)))")
    }

    func validate() throws {
        guard let defect, World.Defect(rawValue: defect) == nil else { return }
        throw ValidationError("--defect must be one of \(World.Defect.allCases.map(\.rawValue)).")
    }

    func run() throws {
        Self.hashDeterministically()
        let clock = ContinuousClock()
        var failed = 0
        for seed in seed..<(seed + count) {
            var simulation = Simulation(seed: seed)
            simulation.storm = .seconds(storm)
            simulation.defect = defect.flatMap { World.Defect(rawValue: $0) }
            (simulation.size.hosts, simulation.size.vms) = (hosts, vms)
            let start = clock.now
            let outcome = try simulation.run()
            let real = (clock.now - start) / .seconds(1)
            let virtual = outcome.time / .seconds(1)
            print(
                "seed \(seed): \(outcome.steps) steps, \(Int(virtual)) s in \(Int(real * 1000)) ms, "
                    + "digest \(String(outcome.digest, radix: 16)), \(outcome.violations.count) violations")
            if story || !outcome.violations.isEmpty { outcome.story.forEach { print("  \($0)") } }
            outcome.violations.forEach { print("  VIOLATION \($0)") }
            if !outcome.violations.isEmpty { failed += 1 }
            if failed > 0, !keepGoing { break }
        }
        if failed > 0 { throw ExitCode(1) }
    }
}
