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
                case .stopped, .gone, .fenced, .startRefused, .destroyed, .migrationSettled(.gone), .writtenOff: break
                case .migrationGranted, .migrationSettled, .adopted, .destinationLost, .destinationAnswers,
                    .destinationFenced, .startGranted, .started, .stopRequested, .stopGivenUp, .controlRequested,
                    .controlled,
                    .controlGivenUp, .seen, .hostLost, .hostAnswers,
                    .destroyRequested:
                    Issue.record("\(state.text) gives up its placement on \(event.text)")
                }
            }
        }
    }

    @Test func `only a grant makes a placement, and only a settled move changes one`() {
        for state in allStates {
            for event in allEvents {
                guard let next = try? state.after(event), let placement = next.placement else { continue }
                guard placement != state.placement else { continue }
                switch (event, state) {
                case (.startGranted, _), (.adopted, .created), (.adopted, .stopped), (.adopted, .crashed):
                    #expect(state.placement == nil, "\(state.text) moves on \(event.text)")
                // A fence settles a move for the other end, to which it was granted.
                case (.migrationSettled, .migrating(let move)), (.fenced, .migrating(let move)):
                    #expect(placement == move.destination, "\(state.text) moves on \(event.text)")
                case (.adopted, .unknown): break
                default: Issue.record("\(event.text) places \(state.text)")
                }
            }
        }
    }

    @Test func `a new placement forgets what was seen of the old one`() throws {
        let next = try vm(in: .stopped(.requested)).after(.startGranted(Placement(host: hostB, epoch: Epoch(6))))
        #expect(next.epoch == Epoch(6))
        #expect(next.lastPlacement == Placement(host: hostB, epoch: Epoch(6)))
        #expect(!next.domainSeen)
        #expect(next.observed == nil)
    }
}
