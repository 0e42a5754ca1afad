import ArgumentParser

/// Resident memory of a process that has come to rest.
struct MemoryMeasure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "memory", abstract: "The resident memory of a process, once it is steady.")

    @Option(name: .long, help: "The process.")
    var pid: Int32

    @Option(name: .long, help: "What to call it.")
    var name: String

    @Option(name: .long, help: "What it may use, in MiB.")
    var limit: Double

    /// How long the memory must not have grown.
    private static let quiet: Duration = .seconds(10)

    mutating func run() async throws {
        let memory = try await steady()
        func mebibytes(_ kibibytes: Int) -> Double { Double(kibibytes) / 1024 }
        let resident = mebibytes(memory.resident)
        let decimal = (Double(memory.resident) * 1024 / 1_000_000).tenths
        Figure(
            name: "\(name) idle, resident", value: "\(resident.tenths) MiB (\(decimal) MB)",
            limit: "< \(limit.tenths) MiB",
            isMet: resident < limit
        ).print()
        Figure(
            name: "\(name) of that, own and of files",
            value: "\(mebibytes(memory.anonymous).tenths) + \(mebibytes(memory.file).tenths) MiB"
        ).print()
    }

    /// The memory once it has not grown for a while. What is given back in that time does not count as unsteady.
    private func steady() async throws -> ProcessTable.Memory {
        var greatest = try ProcessTable.memory(of: pid)
        var since = ContinuousClock.now
        return try await waitFor("\(name) uses no more memory", limit: .seconds(120), every: .milliseconds(250)) {
            let now = try ProcessTable.memory(of: pid)
            if now.resident > greatest.resident {
                greatest = now
                since = .now
            }
            return ContinuousClock.now - since > Self.quiet ? now : nil
        }
    }
}
