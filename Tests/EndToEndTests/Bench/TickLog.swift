import APIContract
import Foundation

/// What a guest counted on its console, on whichever hosts it ran. The logs are held by links of the test's own, because a
/// host lets go of the log of a guest that has left.
struct TickLog {
    let vm: VMResource
    let bench: Bench
    private var kept: [String] = []

    /// Holds the log of `vm`, which runs on `host`.
    init(of vm: VMResource, on host: String, _ bench: Bench) throws {
        self.vm = vm
        self.bench = bench
        try arrived(on: host)
    }

    private func path(on host: String) -> String { "\(bench.directory)/\(host)/agent/console/\(vm.id).log" }

    func isThere(on host: String) -> Bool { FileManager.default.fileExists(atPath: path(on: host)) }

    /// Holds the log of the guest's next stay as well.
    mutating func arrived(on host: String) throws {
        let link = "\(bench.directory)/\(vm.id)-\(kept.count).log"
        try FileManager.default.linkItem(atPath: path(on: host), toPath: link)
        kept.append(link)
    }

    /// Every number that was counted, in the order of the stays.
    var all: [Int] { get throws { try kept.flatMap(Self.ticks) } }

    /// What was counted in the latest stay.
    var latest: [Int] { get throws { try kept.last.map(Self.ticks) ?? [] } }

    private static func ticks(in path: String) throws -> [Int] {
        try String(contentsOfFile: path, encoding: .utf8).split(whereSeparator: \.isNewline).compactMap { line in
            line.hasPrefix("tick ") ? Int(line.dropFirst(5)) : nil
        }
    }
}
