import APIClient
import ArgumentParser

extension VMCommand {
    struct Console: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a VM's serial console printed.",
            discussion: "On a terminal, the guest's own control sequences are left out.")

        @Argument(help: "The VM's name or id.") var vm: Reference
        @Flag(help: "Print the console's log.") var log = false
        @Flag(help: "Go on with what comes, until interrupted.") var follow = false
        @Option(help: "How much of the log's end to print.", transform: Positive.init(argument:)) var bytes = Positive(
            65_536)
        @OptionGroup var connection: ConnectionOptions

        func validate() throws {
            if !log {
                throw ValidationError(
                    "A console is shown as its log: say --log, and --follow to go on with what comes.")
            }
        }

        func run() async throws {
            try await Session.run(connection, format: .table) { session in
                var window = try await session.client.consoleLog(of: vm.text, limit: bytes.value)
                var filter = TerminalText()
                try Self.write(window, &filter)
                while follow {
                    try await Task.sleep(for: .seconds(1))
                    // A log that runs faster than one window in a second shows a gap in its window only.
                    let next = try await session.client.consoleLog(of: vm.text, limit: max(bytes.value, 262_144))
                    try Self.write(ConsoleWindow.newBytes(in: next, after: window), &filter)
                    window = next
                }
            }
        }

        private static func write(_ bytes: some Sequence<UInt8>, _ filter: inout TerminalText) throws {
            let output = StandardStream.output
            try output.write(output.isTerminal ? filter.plain(bytes) : Array(bytes))
        }
    }
}

/// Two looks at the end of one log that grows.
enum ConsoleWindow {
    /// What `next` has that `previous` had not; all of it where the two do not overlap, as after a new start.
    ///
    /// The overlap is the longest end of `previous` that `next` begins with.
    static func newBytes(in next: [UInt8], after previous: [UInt8]) -> ArraySlice<UInt8> {
        if next.isEmpty { return [] }
        // Both windows end with the log's end. The later may reach further back, so that it holds all of the former.
        if !previous.isEmpty, next.count > previous.count, let end = endOfLast(previous, in: next) {
            return next[end...]
        }
        let borders = borders(of: next)
        var matched = 0
        for byte in previous {
            while matched > 0, matched == next.count || next[matched] != byte { matched = borders[matched - 1] }
            if next[matched] == byte { matched += 1 }
        }
        return next[matched...]
    }

    private static func endOfLast(_ part: [UInt8], in whole: [UInt8]) -> Int? {
        let borders = borders(of: part)
        var matched = 0
        var end: Int?
        for (index, byte) in whole.enumerated() {
            while matched > 0, matched == part.count || part[matched] != byte { matched = borders[matched - 1] }
            if part[matched] == byte { matched += 1 }
            if matched == part.count { end = index + 1 }
        }
        return end
    }

    /// For each end, the length of the longest proper beginning that is also the end there.
    private static func borders(of bytes: [UInt8]) -> [Int] {
        var borders = [Int](repeating: 0, count: bytes.count)
        var length = 0
        for index in bytes.indices.dropFirst() {
            while length > 0, bytes[length] != bytes[index] { length = borders[length - 1] }
            if bytes[length] == bytes[index] { length += 1 }
            borders[index] = length
        }
        return borders
    }
}
