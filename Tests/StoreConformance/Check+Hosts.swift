import ControlPlane
import Domain
import Testing

extension Check {
    static let hostChecks = [
        Check("a host is read as it was written", hostIsRead),
        Check("a host's name is free again when the host is deleted, and its row stays", hostNameIsFreed),
        Check("a host is replaced only at its revision", hostIsReplacedAtRevision),
        Check("sightings are replaced per host, and each VM has one on a host", sightingsAreReplaced),
    ]

    @Sendable private static func hostIsRead(_ store: any Database, _: ManualClock) async throws {
        var full = Sample.host(1)
        full.state = .maintenance
        full.connection = .connected
        full.session = 41
        full.libvirtAnswers = true
        full.bootID = "b00t"
        full.facts = HostFacts(
            cpus: 8, memory: 16384, agentVersion: "1",
            hypervisor: HypervisorFacts(
                domainType: "qemu", reason: "no /dev/kvm", libvirtVersion: "9.0", qemuVersion: "7.2"),
            pool: Sample.poolID(1))
        full.lastSeenAt = Sample.time
        full.fencedAt = Sample.time
        full.fenceProof = "the plug is \"out\""
        let written = full
        try await store.write("insert") { transaction in
            try transaction.insert(written)
            try transaction.insert(Sample.host(2))
        }
        #expect(try await store.read { try $0.host(written.id) } == written)
        #expect(try await store.read { try $0.host(named: "host2") } == Sample.host(2))
    }

    @Sendable private static func hostNameIsFreed(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { try $0.insert(Sample.host(1, name: "kvm")) }
        try await expectNameTaken { try await store.write("insert") { try $0.insert(Sample.host(2, name: "kvm")) } }
        let deleted = try await store.write("delete") { transaction in
            var next = Sample.host(1, name: "kvm")
            next.deletedAt = Sample.time
            return try transaction.replace(next, atRevision: 1)
        }
        try await store.write("insert") { try $0.insert(Sample.host(2, name: "kvm")) }
        #expect(try await store.read { try $0.host(Sample.hostID(1)) } == deleted)
        #expect(try await store.read { try $0.host(named: "kvm")?.id } == Sample.hostID(2))
        #expect(try await store.read { try $0.allHosts().map(\.id) } == [Sample.hostID(2)])
        #expect(try await store.read { try $0.hosts(ListQuery()).items.map(\.id) } == [Sample.hostID(2)])
    }

    @Sendable private static func hostIsReplacedAtRevision(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.host(1))
            try transaction.insert(Sample.host(2))
        }
        clock.advance(by: .seconds(1))
        let stored = try await store.write("replace") { transaction in
            try transaction.replace(Sample.host(1, name: "renamed"), atRevision: 1)
        }
        #expect(stored.revision == 2)
        #expect(stored.updatedAt == clock.wall())
        #expect(try await store.read { try $0.host(stored.id) } == stored)
        await #expect(throws: Fault.self) {
            try await store.write("late") { _ = try $0.replace(Sample.host(1), atRevision: 1) }
        }
        #expect(try await store.read { try $0.host(stored.id) } == stored)
        try await expectNameTaken {
            try await store.write("rename") { _ = try $0.replace(Sample.host(2, name: "renamed"), atRevision: 1) }
        }
    }

    @Sendable private static func sightingsAreReplaced(_ store: any Database, _: ManualClock) async throws {
        func sighting(_ vm: Int, _ host: Int, epoch: Int64) -> Sighting {
            Sighting(
                vm: Sample.vmID(vm), host: Sample.hostID(host), epoch: Epoch(epoch), state: "running",
                seenAt: Sample.time)
        }
        let (one, two, newer) = (sighting(1, 1, epoch: 1), sighting(2, 1, epoch: 1), sighting(1, 1, epoch: 5))
        let elsewhere = sighting(1, 2, epoch: 3)
        try await store.write("see") { transaction in
            try transaction.setSightings([one, two], on: Sample.hostID(1))
            try transaction.put(elsewhere)
            try transaction.put(newer)
        }
        #expect(try await store.read { try $0.sightings(of: Sample.vmID(1)) } == [newer, elsewhere])
        #expect(try await store.read { try $0.sightings(on: Sample.hostID(1)) } == [newer, two])
        try await store.write("see") { try $0.setSightings([two], on: Sample.hostID(1)) }
        #expect(try await store.read { try $0.sightings(of: Sample.vmID(1)) } == [elsewhere])
        try await store.write("gone") { try $0.removeSighting(of: Sample.vmID(1), on: Sample.hostID(2)) }
        #expect(try await store.read { try $0.sightings(of: Sample.vmID(1)) }.isEmpty)
    }
}
