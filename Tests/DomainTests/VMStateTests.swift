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

    @Test func `every state but expunging has a way out`() {
        for state in allStates where state != .expunging {
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
                    .destroyRequested, .recovered, .expungeRequested:
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

    @Test func `a destroyed VM is kept for its time, and a recovered one as if it had never been destroyed`() throws {
        let destroyed = try vm(in: .destroying(nil, waiting: nil)).after(.destroyed(keptUntil: keptUntil))
        #expect(destroyed.expungeAt == keptUntil)
        let recovered = try destroyed.after(.recovered)
        #expect(recovered.state == .stopped(.requested))
        #expect(recovered.expungeAt == nil)
        #expect((recovered.epoch, recovered.lastHost, recovered.pool) == (Epoch(5), hostA, nil))
        let placed = try recovered.after(.startGranted(Placement(host: hostB, epoch: recovered.epoch.next)))
        #expect(placed.epoch > destroyed.epoch)
    }

    @Test func `a destroy that is to keep nothing is not kept longer`() throws {
        var record = vm(in: .destroying(nil, waiting: nil))
        record.expungeAt = Timestamp(milliseconds: 5)
        #expect(try record.after(.destroyed(keptUntil: keptUntil)).expungeAt == Timestamp(milliseconds: 5))
    }

    @Test func `a destroy that finds the domain moved away has given nothing up`() throws {
        var record = vm(in: .destroying(Placement(host: hostA, epoch: Epoch(5)), waiting: nil))
        record.expungeAt = Timestamp(milliseconds: 5)
        let moved = try record.after(.gone(.movedAway))
        #expect(moved.state == .unknown(Placement(host: hostA, epoch: Epoch(5)), .movedAway))
        #expect(moved.expungeAt == nil)
        #expect(!moved.isGivenUp(at: keptUntil))
    }

    @Test func `nothing happens to a VM that is being expunged, and only a destroyed one comes to it`() {
        for state in allStates {
            for event in allEvents {
                let next = try? state.after(event)
                #expect(state != .expunging || next == nil)
                if next == .expunging { #expect(state == .destroyed && event == .expungeRequested) }
                if event == .recovered { #expect((next != nil) == (state == .destroyed)) }
            }
        }
    }
}
