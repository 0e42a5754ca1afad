import ArgumentParser

/// Measures what `make bench` prints. Started by `Benchmarks/run`, which makes the bench.
@main
struct Measure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost-measure", abstract: "Measures Roost: one figure a line, its fields apart by tabs.",
        subcommands: [
            MemoryMeasure.self, StopMeasure.self, DeathMeasure.self, MoveMeasure.self, StoreMeasure.self,
            ReconcileMeasure.self, JobsMeasure.self, JobMemoryMeasure.self,
        ])
}
