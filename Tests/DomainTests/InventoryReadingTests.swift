import Domain
import Testing

@Suite struct InventoryReadingTests {
    private let operation = JobID(trusted: "eeeeeeee-0000-4000-8000-000000000005")
    private let observation = Observation(session: 3, sequence: 11)

    /// One of everything that an inventory can say of a VM, by name.
    private var entries: [(String, InventoryEntry)] {
        func domain(_ epoch: Int64?, _ state: DomainState = .running) -> ObservedDomain {
            ObservedDomain(vm: someVM, epoch: epoch.map { Epoch($0) }, state: state)
        }
        var entries: [(String, InventoryEntry)] = [
            ("libvirt-silent", InventoryEntry(libvirtAnswered: false, domain: nil)),
            ("libvirt-silent new-boot", InventoryEntry(libvirtAnswered: false, domain: nil, isReboot: true)),
        ]
        let listed = [
            ("nothing", nil), ("running 4", domain(4)), ("running 5", domain(5)), ("paused 5", domain(5, .paused)),
            ("starting 5", domain(5, .starting)), ("moving 5", domain(5, .moving)), ("running 6", domain(6)),
            ("running 7", domain(7)),
            ("running ?", domain(nil)),
        ]
        for (name, domain) in listed {
            for isBusy in [false, true] {
                for isReboot in [false, true] {
                    let more = (isBusy ? " busy" : "") + (isReboot ? " new-boot" : "")
                    entries.append((name + more, InventoryEntry(domain: domain, isBusy: isBusy, isReboot: isReboot)))
                }
            }
        }
        return entries
    }

    /// What follows for the record, as the reconciler carries it out.
    private func outcome(_ record: VM, _ entry: InventoryEntry, from host: HostID) throws -> (String, VMState) {
        switch record.reading(of: entry, from: host) {
        case .notPlacedThere: return ("not-placed-there", record.state)
        case .silent: return ("silent", try record.after(record.state.loss(of: host, .libvirtUnavailable)).state)
        case .doubtful: return ("doubtful", try record.after(record.state.loss(of: host, .outcomeUnknown)).state)
        case .unsettled: return ("unsettled", try record.after(record.state.answer(of: host)).state)
        case .shows(let placement, let domain):
            let report = DomainReport(
                vm: someVM, epoch: placement.epoch, state: domain, host: host, observation: observation,
                isEvent: false)
            switch record.decide(on: report) {
            case .advance(let event): return ("shows", try record.after(event).state)
            case .confirmed: return ("shows", record.state)
            case .ignored(.startUnsettled), .ignored(.moveUnsettled):
                return ("unsettled", try record.after(record.state.answer(of: host)).state)
            case .ignored(.notPlacedThere), .ignored(.stale), .conflict, .doubt:
                Issue.record("a report about the placement itself is called another one's")
                return ("", record.state)
            }
        }
    }

    @Test func `the table of records and inventories is the golden one`() throws {
        var lines: [String] = []
        for state in allStates {
            for (seen, inFlight) in [(true, false), (true, true), (false, false), (false, true)] {
                let record = vm(in: state, domainSeen: seen, operation: inFlight ? operation : nil)
                for (from, host) in [("A", hostA), ("B", hostB)] {
                    for (name, entry) in entries {
                        let (reading, next) = try outcome(record, entry, from: host)
                        let isStranger = entry.domain.map { domain in
                            var settled = record
                            settled.state = next
                            return settled.disowns(domain, on: host, observation)
                        }
                        lines.append(
                            padded(state.text, 48) + (seen ? "seen   " : "unseen ")
                                + (inFlight ? "operation " : "idle      ") + "| \(from) " + padded(name, 24) + "-> "
                                + padded(reading, 17) + next.text + (isStranger == true ? " + sighting" : ""))
                    }
                }
            }
        }
        try expectGolden("inventory-record", lines.joined(separator: "\n") + "\n")
    }

    @Test func `a libvirt that is silent, a VM that is busy and an epoch that cannot be read end nothing`() {
        let mute = [
            InventoryEntry(libvirtAnswered: false, domain: nil, isReboot: true),
            InventoryEntry(domain: nil, isBusy: true, isReboot: true),
            InventoryEntry(domain: ObservedDomain(vm: someVM, epoch: nil, state: .running), isReboot: true),
        ]
        for state in allStates {
            for entry in mute {
                for host in [hostA, hostB] {
                    switch vm(in: state).reading(of: entry, from: host) {
                    case .notPlacedThere, .silent, .unsettled: break
                    case .doubtful, .shows: Issue.record("\(state.text) is told of its domain by silence")
                    }
                }
            }
        }
    }

    @Test func `an inventory never moves ownership`() throws {
        for state in allStates {
            let record = vm(in: state)
            for (name, entry) in entries {
                for host in [hostA, hostB] {
                    let (_, next) = try outcome(record, entry, from: host)
                    guard let placement = next.placement else { continue }
                    #expect(placement == state.placement, "\(state.text) on \(name)")
                }
            }
        }
    }
}
