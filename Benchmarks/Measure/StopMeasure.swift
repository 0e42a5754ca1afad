import APIClient
import APIContract
import ArgumentParser

/// A cold stop through Roost beside libvirt's own, of the same guest in turn.
struct StopMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "A cold stop through Roost beside virsh destroy.")

    @OptionGroup var options: BenchOptions

    @Option(name: .long, help: "How often each.")
    var rounds = 20

    @Option(name: .long, help: "How much slower Roost may be, in ms.")
    var limit = 50.0

    private enum Way: String, CaseIterable { case roost, shell, command }

    mutating func run() async throws {
        let options = options
        let rounds = rounds
        let samples = try await LiveBench.with(options) { bench in try await Self.measure(bench, rounds) }
        report(samples)
    }

    private static func measure(_ bench: LiveBench, _ rounds: Int) async throws -> [Way: Samples] {
        var samples = Dictionary(uniqueKeysWithValues: Way.allCases.map { ($0, Samples()) })
        let shell = try VirshShell(uri: bench.libvirtURI)
        defer { shell.close() }
        let vm = try await bench.makeVM("bench-stop")
        // The first round warms all of them up.
        for round in 0...rounds {
            for turn in Way.allCases.indices {
                let way = Way.allCases[(round + turn) % Way.allCases.count]
                try await bench.start(vm)
                let took =
                    switch way {
                    case .roost: try await stop(vm, on: bench)
                    case .shell: try shell.destroy(vm.id)
                    case .command: try runVirshDestroy(vm.id, uri: bench.libvirtURI)
                    }
                try await bench.ended(vm)
                if round > 0 { samples[way]?.add(took) }
            }
            if round % 5 == 0, round > 0 { tell("stop: \(round) of \(rounds)") }
        }
        try await bench.destroy(vm)
        return samples
    }

    /// From the request to the operation's end, which is when the record says `stopped`.
    private static func stop(_ vm: VMResource, on bench: LiveBench) async throws -> Duration {
        let clock = ContinuousClock()
        let begin = clock.now
        let operation = try await bench.client.stopVM(vm.id, StopVMRequest(mode: "cold")).value
        try await bench.succeed(operation)
        let took = clock.now - begin
        let state = try await bench.client.vm(vm.id).value.state
        guard state == "stopped" else { throw MeasureFailed("The VM was stopped, and is \(state).") }
        return took
    }

    private func report(_ samples: [Way: Samples]) {
        guard let roost = samples[.roost], let shell = samples[.shell], let command = samples[.command] else { return }
        let strictest = min(shell.median, command.median)
        let difference = roost.median - strictest
        func line(_ name: String, _ samples: Samples) -> Figure {
            Figure(name: name, value: "\(samples.median.tenths) ms (\(samples.range))")
        }
        line("cold stop through Roost, median of \(roost.count)", roost).print()
        line("virsh destroy, in one virsh, median of \(shell.count)", shell).print()
        line("virsh destroy, the whole command, median of \(command.count)", command).print()
        Figure(
            name: "cold stop, Roost slower than virsh by", value: "\(difference.tenths) ms",
            limit: "<= \(limit.tenths) ms", isMet: difference <= limit
        ).print()
        Figure(
            name: "cold stop, Roost to virsh shell, to virsh command",
            value: "\((roost.median / shell.median * 100).tenths) %, \((roost.median / command.median * 100).tenths) %"
        ).print()
    }
}
