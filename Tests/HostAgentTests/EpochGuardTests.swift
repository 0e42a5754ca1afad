import Domain
import HostAgent
import Testing

@Suite struct EpochGuardTests {
    @Test func `the table of commands, domains and marks is the golden one`() async throws {
        let commands: [(String, HostCommand)] = [
            ("start", start()), ("stop", stop()), ("stop, none is fine", stop(ignoreNotFound: true)),
            ("destroy", destroy()), ("destroy, disk stays", destroy(removesDisk: false)),
        ]
        let domains: [(String, FakeHost.Domain?)] = [
            ("none", nil), ("epoch 4", FakeHost.Domain(epoch: Epoch(4))), ("epoch 5", FakeHost.Domain(epoch: Epoch(5))),
            ("epoch 6", FakeHost.Domain(epoch: Epoch(6))), ("unreadable", FakeHost.Domain(epoch: nil)),
            ("gone", FakeHost.Domain(epoch: Epoch(5), state: .gone(.guestShutdown))),
        ]
        let marks: [(Int64, Int64)] = [(0, 0), (4, 4), (5, 0), (5, 4), (5, 5), (6, 0), (6, 6)]
        var lines: [String] = []
        for (commandText, command) in commands {
            for (domainText, domain) in domains {
                for (highest, closed) in marks {
                    let host = FakeHost()
                    host.with { $0.domains[someVM] = domain }
                    host.mark(EpochMark(highest: Epoch(highest), closed: Epoch(closed)))
                    let outcome = try await host.agent().execute(command, id: first)
                    lines.append(
                        padded("\(commandText) of 5", 24) + padded("| domain \(domainText)", 21)
                            + padded("| highest \(highest) closed \(closed)", 21) + "-> "
                            + padded(outcome.text, 26) + "did " + host.deeds)
                }
            }
        }
        try expectGolden("command-domain-mark", lines.joined(separator: "\n") + "\n")
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}

extension FakeHost {
    /// What was done on this host, and its mark afterwards.
    fileprivate var deeds: String {
        with { state in
            var deeds: [String] = []
            if !state.started.isEmpty { deeds.append("start") }
            if !state.cut.isEmpty { deeds.append("cut") }
            if !state.killed.isEmpty { deeds.append("kill") }
            if !state.released.isEmpty { deeds.append("release") }
            if !state.removed.isEmpty { deeds.append("remove") }
            let mark = state.marks[someVM] ?? .none
            return (deeds.isEmpty ? "nothing" : deeds.joined(separator: ", "))
                + ", mark \(mark.highest)/\(mark.closed)"
        }
    }
}
