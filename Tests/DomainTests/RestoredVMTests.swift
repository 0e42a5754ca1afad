import Domain
import Testing

@Suite struct RestoredVMTests {
    private func sighting(_ host: HostID, _ epoch: Int64, _ state: String = "running") -> Sighting {
        Sighting(vm: someVM, host: host, epoch: Epoch(epoch), state: state, seenAt: Timestamp(milliseconds: 1))
    }

    private func text(_ fate: RestoredFate) -> String {
        switch fate {
        case .adopted(let found): "adopted \(found.host == hostA ? "A" : "B"):\(found.epoch)"
        case .confirmed, .atRest, .stopped, .waits, .contested: fate.label
        }
    }

    @Test func `the table of restored records is the golden one`() throws {
        let shown: [(String, [Sighting])] = [
            ("nothing", []), ("A:4", [sighting(hostA, 4)]), ("A:5", [sighting(hostA, 5)]),
            ("A:6", [sighting(hostA, 6)]), ("B:6", [sighting(hostB, 6)]),
            ("B:6 paused", [sighting(hostB, 6, "paused")]),
            ("B:6 starting", [sighting(hostB, 6, "starting")]), ("B:0", [sighting(hostB, 0)]),
            ("A:6 and B:7", [sighting(hostA, 6), sighting(hostB, 7)]),
        ]
        var lines: [String] = []
        for state in allStates {
            let record = vm(in: state).restored
            lines.append("\(padded(state.text, 48))=> \(record.state.text)")
            for (what, sightings) in shown {
                let fates = [false, true].map { text(record.fate(given: sightings, isAnyAwaited: $0)) }
                lines.append(
                    "    \(padded(what, 14))-> "
                        + (fates[0] == fates[1] ? fates[0] : fates.joined(separator: ", one host not heard: ")))
            }
        }
        try expectGolden("restored-record", lines.joined(separator: "\n") + "\n")
    }

    @Test
    func `nothing that is restored has a placement that is taken for granted, and restoring again changes nothing`() {
        for state in allStates {
            let restored = vm(in: state).restored
            #expect(restored.restored == restored)
            guard let placement = restored.state.placement else { continue }
            #expect(restored.state.waiting?.isAstray == true, "\(state)")
            #expect(placement == state.placement)
        }
    }

    @Test func `what its host alone says settles no restored VM but a sight of the very domain`() throws {
        let here = Placement(host: hostA, epoch: Epoch(5))
        let restored = VMState.unknown(here, .recordsRestored)
        for event in [
            VMEvent.gone(.foundGone), .gone(.hostRebooted), .hostAnswers, .hostLost(.hostDisconnected), .fenced,
        ] { #expect(try restored.after(event) == restored) }
        #expect(try restored.after(.seen(.paused)) == .paused(here))
        for event in [VMEvent.stopRequested, .destroyRequested, .startGranted(here), .stopped(.requested)] {
            #expect(throws: IllegalTransition.self) { try restored.after(event) }
        }
    }

    @Test func `a generation begins above all that was heard of and seen`() {
        var recovery = Recovery()
        #expect(recovery.base == nil)
        #expect(recovery.nextGeneration(above: Epoch(7)) == 1)
        #expect(recovery.nextGeneration(above: Epoch(3_000_002)) == 4)
        recovery.heard = RecordPoint(generation: 6, event: 99)
        recovery.generation = recovery.nextGeneration(above: Epoch(3_000_002))
        #expect(recovery.generation == 7)
        #expect(recovery.base == Epoch(7_000_000))
        // Whatever an agent tells, there is a next one.
        recovery.heard = RecordPoint(rawValue: .max)
        recovery.generation = recovery.nextGeneration(above: Epoch(.max))
        #expect((recovery.base?.rawValue ?? 0) > 1 << 60)
        #expect(RecordPoint(generation: 2, event: .max).generation == 2)
    }

    @Test func `a point counts generations before events`() {
        let points = [
            RecordPoint.none, RecordPoint(generation: 0, event: 5), RecordPoint(generation: 0, event: 1 << 39),
            RecordPoint(generation: 1, event: 0), RecordPoint(generation: 1, event: 1),
        ]
        #expect(points == points.sorted())
        #expect(points[4].generation == 1 && points[4].event == 1 && points[2].event == 1 << 39)
    }

    @Test func `work of before is ended or waits for a hand, and none goes on by itself`() {
        for kind in JobKind.allCases {
            let time = Timestamp(milliseconds: 1)
            let job = Job(
                id: JobID(trusted: "eeeeeeee-0000-4000-8000-000000000001"), kind: kind, vm: someVM, host: hostA,
                epoch: Epoch(5), payload: JobPayload(), wish: 1, nextAttemptAt: time, requestedBy: "admin",
                createdAt: time, updatedAt: time)
            let fates = [4, 5, 6].map { job.restoredFate(seen: Epoch($0)) }
            switch kind.purpose {
            case .operation: #expect(fates == [.cancelled, .cancelled, .cancelled])
            case .gc:
                // The record of an expunged VM ends with its job.
                #expect(fates == [.parked, .parked, kind == .deleteVolume ? .parked : .superseded])
            }
        }
    }
}
