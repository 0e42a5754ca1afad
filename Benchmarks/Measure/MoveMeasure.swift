import APIClient
import APIContract
import ArgumentParser
import Foundation

/// A live move through Roost beside libvirt's own, of the same guest in turn, there and back.
struct MoveMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move", abstract: "A live migration through Roost beside virsh migrate.")

    @OptionGroup var options: BenchOptions

    @Option(name: .long, help: "The other host on the bench.")
    var other = "h2"

    @Option(name: .long, help: "How often each.")
    var rounds = 10

    @Option(name: .long, help: "How much slower Roost may be, in ms.")
    var limit = 150.0

    mutating func run() async throws {
        let (options, hosts, rounds) = (options, [options.host, other], rounds)
        let samples = try await LiveBench.with(options) { bench in
            try await Self.measure(bench, options.bench, hosts, rounds)
        }
        let difference = samples.roost.median - samples.virsh.median
        Figure(
            name: "live move through Roost, median of \(samples.roost.count)",
            value: "\(samples.roost.median.tenths) ms (\(samples.roost.range))"
        ).print()
        Figure(
            name: "virsh migrate, the whole command, median of \(samples.virsh.count)",
            value: "\(samples.virsh.median.tenths) ms (\(samples.virsh.range))"
        ).print()
        Figure(
            name: "live move, Roost slower than virsh by", value: "\(difference.tenths) ms",
            limit: "<= \(limit.tenths) ms", isMet: difference <= limit
        ).print()
    }

    private static func measure(
        _ bench: LiveBench, _ directory: String, _ hosts: [String], _ rounds: Int
    ) async throws -> (roost: Samples, virsh: Samples) {
        var (roost, virsh) = (Samples(), Samples())
        let vm = try await bench.makeVM("bench-move")
        try await bench.start(vm)
        var place = 0
        // The first round warms both up.
        for round in 0...rounds {
            // Each goes first in turn, so that neither always has the same direction.
            for isRoost in round.isMultiple(of: 2) ? [true, false] : [false, true] {
                let target = 1 - place
                let took =
                    isRoost
                    ? try await move(vm, to: hosts[target], on: bench)
                    : try virshMigrate(vm, from: hosts[place], to: hosts[target], directory)
                try await bench.arrived(vm, on: hosts[target])
                place = target
                if round > 0 { isRoost ? roost.add(took) : virsh.add(took) }
            }
            if round > 0 { tell("move: \(round) of \(rounds)") }
        }
        try await bench.destroy(vm)
        return (roost, virsh)
    }

    /// From the request to the operation's end, which is when the record says where the guest is.
    private static func move(_ vm: VMResource, to host: String, on bench: LiveBench) async throws -> Duration {
        let clock = ContinuousClock()
        let begin = clock.now
        let operation = try await bench.client.migrateVM(vm.id, MigrateVMRequest(host: host)).value
        try await bench.succeed(operation)
        return clock.now - begin
    }

    /// Peer to peer over UNIX sockets that both hosts can reach: libvirt's quickest way, without encryption.
    private static func virshMigrate(
        _ vm: VMResource, from source: String, to target: String, _ directory: String
    ) throws -> Duration {
        func socket(_ host: String) -> String {
            "qemu+unix:///system?socket=\(directory)/\(host)/run/libvirt/libvirt-sock"
        }
        let memory = "\(directory)/memory-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: memory) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "virsh", "--connect", "qemu:///system?socket=\(directory)/\(source)/run/libvirt/libvirt-sock", "migrate",
            "--live", "--p2p", "--unsafe", vm.id, socket(target), "--migrateuri", "unix://\(memory)",
        ]
        process.standardOutput = FileHandle.nullDevice
        let clock = ContinuousClock()
        let begin = clock.now
        try process.run()
        process.waitUntilExit()
        let took = clock.now - begin
        guard process.terminationStatus == 0 else { throw MeasureFailed("virsh migrate failed.") }
        return took
    }
}
