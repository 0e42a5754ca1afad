import Domain
import Testing

@Suite struct VMStateTests {
    @Test func `the table of states and events is the golden one`() throws {
        var lines: [String] = []
        for state in allStates {
            for event in allEvents {
                let next = (try? state.after(event)).map(\.text) ?? "refused"
                lines.append(padded(state.text, 48) + padded(event.text, 34) + "-> \(next)")
            }
        }
        try expectGolden("state-event", lines.joined(separator: "\n") + "\n")
    }

    @Test func `every state but destroyed has a way out`() {
        for state in allStates where state != .destroyed {
            let exits = allEvents.filter { event in (try? state.after(event)).map { $0.label != state.label } ?? false }
            #expect(!exits.isEmpty, "\(state.text) has no exit")
        }
    }

    @Test func `nothing but a proof gives up a placement`() throws {
        for state in allStates {
            guard state.placement != nil else { continue }
            for event in allEvents {
                guard let next = try? state.after(event), next.placement == nil else { continue }
                switch event {
                case .stopped, .gone, .fenced, .startRefused, .destroyed: break
                case .startGranted, .started, .stopRequested, .stopGivenUp, .controlRequested, .controlled,
                    .controlGivenUp, .seen, .hostLost, .hostAnswers,
                    .destroyRequested:
                    Issue.record("\(state.text) gives up its placement on \(event.text)")
                }
            }
        }
    }

    @Test func `only a granted start makes a placement, and never where one is`() {
        for state in allStates {
            for event in allEvents {
                guard let next = try? state.after(event), let placement = next.placement else { continue }
                if placement != state.placement {
                    #expect(state.placement == nil, "\(state.text) moves on \(event.text)")
                    guard case .startGranted = event else {
                        Issue.record("\(event.text) places \(state.text)")
                        continue
                    }
                }
            }
        }
    }

    @Test func `a new placement forgets what was seen of the old one`() throws {
        let next = try vm(in: .stopped(.requested)).after(.startGranted(Placement(host: hostB, epoch: Epoch(6))))
        #expect(next.epoch == Epoch(6))
        #expect(next.lastHost == hostB)
        #expect(!next.domainSeen)
        #expect(next.observed == nil)
    }
}
