import Domain
import Testing

@Suite struct ReportTests {
    private let operation = JobID(trusted: "eeeeeeee-0000-4000-8000-000000000005")

    private func text(_ decision: ReportDecision) -> String {
        switch decision {
        case .advance(let event): "advance \(event.text)"
        case .confirmed: "confirmed"
        case .ignored(let reason): "ignored \(reason.rawValue)"
        case .conflict: "conflict"
        case .doubt: "doubt"
        }
    }

    @Test func `the table of records and reports is the golden one`() throws {
        let domains: [(String, DomainState)] = [
            ("running", .running), ("paused", .paused), ("starting", .starting), ("moving", .moving),
            ("gone", .gone(.foundGone)),
            ("crashed", .gone(.failed)),
            ("moved", .gone(.movedAway)),
        ]
        var lines: [String] = []
        for state in allStates {
            for isSeen in [true, false] {
                for inFlight in [true, false] {
                    let record = vm(in: state, domainSeen: isSeen, operation: inFlight ? operation : nil)
                    for (from, host) in [("owner", hostA), ("other", hostB)] {
                        for (age, epoch) in [("older", 4), ("same", 5), ("newer", 6)] {
                            for (order, sequence) in [("later", 11), ("stale", 9)] {
                                for (what, domain) in domains {
                                    for isEvent in [false, true] {
                                        let report = DomainReport(
                                            vm: someVM, epoch: Epoch(Int64(epoch)), state: domain, host: host,
                                            observation: Observation(session: 3, sequence: Int64(sequence)),
                                            isEvent: isEvent)
                                        lines.append(
                                            padded(state.text, 48) + (isSeen ? "seen   " : "unseen ")
                                                + (inFlight ? "busy " : "idle ") + "| \(from) "
                                                + padded("\(age)-epoch", 12) + order + " "
                                                + padded(what, 8) + (isEvent ? "event     " : "inventory ")
                                                + "-> " + text(record.decide(on: report)))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        try expectGolden("record-report", lines.joined(separator: "\n") + "\n")
    }

    @Test func `a report never moves ownership`() throws {
        for state in allStates {
            for host in [hostA, hostB] {
                for epoch in 4...6 {
                    let record = vm(in: state)
                    let report = DomainReport(
                        vm: someVM, epoch: Epoch(Int64(epoch)), state: .running, host: host,
                        observation: Observation(session: 9, sequence: 1), isEvent: true)
                    guard case .advance(let event) = record.decide(on: report) else { continue }
                    #expect(try record.after(event).state.placement == record.state.placement)
                }
            }
        }
    }

    @Test func `a live domain outside the placement is always a conflict`() {
        for state in allStates where state.placement(on: hostB) == nil {
            let report = DomainReport(
                vm: someVM, epoch: Epoch(5), state: .running, host: hostB,
                observation: Observation(session: 9, sequence: 1), isEvent: false)
            #expect(vm(in: state).decide(on: report) == .conflict)
        }
    }

    @Test func `an older session's fact is stale however high its number`() {
        let report = DomainReport(
            vm: someVM, epoch: Epoch(5), state: .gone(.foundGone), host: hostA,
            observation: Observation(session: 2, sequence: 1_000_000), isEvent: true)
        let record = vm(in: .running(Placement(host: hostA, epoch: Epoch(5))))
        #expect(record.decide(on: report) == .ignored(.stale))
    }

    @Test func `absence before a start was confirmed proves nothing while its operation is under way`() {
        let report = DomainReport(
            vm: someVM, epoch: Epoch(5), state: .gone(.foundGone), host: hostA,
            observation: Observation(session: 9, sequence: 1), isEvent: false)
        let state = VMState.unknown(Placement(host: hostA, epoch: Epoch(5)), .hostDisconnected)
        #expect(vm(in: state, domainSeen: false, operation: operation).decide(on: report) == .ignored(.startUnsettled))
        #expect(vm(in: state, domainSeen: false).decide(on: report) == .advance(.gone(.foundGone)))
        #expect(vm(in: state, domainSeen: true, operation: operation).decide(on: report) == .advance(.gone(.foundGone)))
    }

    @Test func `a live domain with an epoch that was never granted puts the record in doubt, be it told or listed`() {
        for state in allStates {
            for domain in [DomainState.running, .paused, .starting, .moving] {
                let record = vm(in: state)
                let epoch = record.epoch.next
                for host in [hostA, hostB] {
                    let report = DomainReport(
                        vm: someVM, epoch: epoch, state: domain, host: host,
                        observation: Observation(session: 9, sequence: 1), isEvent: true)
                    let entry = InventoryEntry(domain: ObservedDomain(vm: someVM, epoch: epoch, state: domain))
                    let isPlacedThere = state.placement(on: host) != nil
                    #expect(record.decide(on: report) == (isPlacedThere ? .doubt : .conflict))
                    #expect(record.reading(of: entry, from: host) == (isPlacedThere ? .doubtful : .notPlacedThere))
                }
            }
        }
    }
}
