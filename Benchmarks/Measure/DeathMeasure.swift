import APIClient
import APIContract
import ArgumentParser
import Foundation

/// From the death of a guest's QEMU until the API shows it.
struct DeathMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "death", abstract: "From kill -9 of QEMU to the API showing that the VM has ended.")

    @OptionGroup var options: BenchOptions

    @Option(name: .long, help: "How often.")
    var rounds = 50

    @Option(name: .long, help: "What the 99th percentile may be, in ms.")
    var limit = 250.0

    private typealias Ends = AsyncThrowingStream<String, any Error>

    mutating func run() async throws {
        let options = options
        let rounds = rounds
        let samples = try await LiveBench.with(options) { bench in try await Self.measure(bench, rounds) }
        Figure(
            name: "kill -9 of QEMU to the API, median of \(samples.count)",
            value: "\(samples.median.tenths) ms (\(samples.range))"
        ).print()
        let slowest = samples.percentile(99)
        Figure(
            name: "kill -9 of QEMU to the API, p99 of \(samples.count)", value: "\(slowest.tenths) ms",
            limit: "< \(limit.tenths) ms", isMet: slowest < limit
        ).print()
    }

    private static func measure(_ bench: LiveBench, _ rounds: Int) async throws -> Samples {
        let vm = try await bench.makeVM("bench-death")
        let (ends, continuation) = Ends.makeStream()
        let client = bench.client
        let follower = Task {
            do {
                try await client.followEvents(after: 0) { event, _ in
                    guard event.vm == vm.id, event.kind == "vm.crashed" || event.kind == "vm.stopped" else { return }
                    continuation.yield(event.kind)
                }
            } catch {
                continuation.finish(throwing: error)
            }
        }
        defer { follower.cancel() }
        var next = ends.makeAsyncIterator()
        var samples = Samples()
        // The first round warms up.
        for round in 0...rounds {
            try await bench.start(vm)
            guard let qemu = ProcessTable.qemu(of: vm.id) else { throw MeasureFailed("\(vm.name) has no QEMU.") }
            let clock = ContinuousClock()
            let begin = clock.now
            guard kill(qemu, SIGKILL) == 0 else { throw MeasureFailed("QEMU \(qemu) cannot be killed.") }
            guard try await next.next() != nil else { throw MeasureFailed("The event stream has ended.") }
            // The event says that it was recorded; what counts is what a reader is shown.
            let state = try await client.vm(vm.id).value.state
            let took = clock.now - begin
            guard state == "crashed" || state == "stopped" else {
                throw MeasureFailed("QEMU was killed, and the VM is \(state).")
            }
            if round > 0 { samples.add(took) }
            if round % 10 == 0, round > 0 { tell("death: \(round) of \(rounds)") }
        }
        try await bench.destroy(vm)
        return samples
    }
}
