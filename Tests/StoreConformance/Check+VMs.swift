import ControlPlane
import Domain
import Synchronization
import Testing

extension Check {
    static let vmChecks = [
        Check("every VM state is read as it was written", everyStateIsRead),
        Check("a VM's name is taken while the VM is neither destroyed nor being expunged", nameIsTaken),
        Check("an update raises the revision and takes the transaction's time", updateRaisesRevision),
        Check("an update decided on an older revision changes nothing", updateLosesByRevision),
        Check("an update decided for another placement changes nothing", updateLosesByPlacement),
        Check("of many writers that decided on one revision, one wins", oneWriterWins),
        Check("VMs are found by the host of their placement, and it alone counts against the host", placementIsFound),
        Check("VMs that need an image are found by it, destroyed ones that are kept included", imageIsFound),
        Check("placed VMs are found by what the rules of another are about", neighboursAreFound),
        Check("destroyed VMs are found by name, the oldest first", destroyedAreFoundByName),
        Check("destroyed VMs whose time is over are found, the earliest first", dueAreFound),
        Check("a VM is removed if nobody has changed it since", removalIsConditional),
    ]

    @Sendable private static func everyStateIsRead(_ store: any Database, _: ManualClock) async throws {
        for (number, state) in everyState.enumerated() {
            var vm = Sample.vm(number + 1, state: state)
            vm.lastPlacement = Placement(host: Sample.hostID(9), epoch: Epoch(3))
            vm.pool = Sample.poolID(9)
            vm.domainSeen = true
            vm.observed = Observation(session: 3, sequence: 14)
            vm.operation = Sample.jobID(7)
            vm.wish = 4
            vm.labels = Labels(trusted: ["app": "web", "example.com/e": ""])
            vm.epoch = Epoch(12)
            if state.label == .destroying { vm.expungeAt = Sample.time }
            let written = vm
            try await store.write("insert") { try $0.insert(written) }
            #expect(try await store.read { try $0.vm(written.id) } == written)
        }
    }

    @Sendable private static func nameIsTaken(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { try $0.insert(Sample.vm(1, name: "web")) }
        try await expectNameTaken { try await store.write("insert") { try $0.insert(Sample.vm(2, name: "web")) } }
        try await store.write("insert") { try $0.insert(Sample.vm(3, name: "other")) }
        try await expectNameTaken {
            try await store.write("rename") { transaction in
                var next = Sample.vm(3)
                next.name = "web"
                _ = try transaction.update(next, where: VMCondition(revision: 1))
            }
        }
        try await store.write("destroy") { transaction in
            _ = try transaction.update(
                Sample.vm(1, name: "web", state: .destroyed), where: VMCondition(revision: 1))
            try transaction.insert(Sample.vm(2, name: "web"))
            try transaction.insert(Sample.vm(4, name: "web", state: .expunging))
        }
        #expect(try await store.read { try $0.vm(named: "web")?.id } == Sample.vmID(2))
        try await expectNameTaken {
            try await store.write("recover") { transaction in
                _ = try transaction.update(
                    Sample.vm(1, name: "web", state: .stopped(.requested)), where: VMCondition(revision: 2))
            }
        }
        #expect(try await store.read { try $0.vm(Sample.vmID(1))?.state } == .destroyed)
    }

    @Sendable private static func updateRaisesRevision(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        clock.advance(by: .seconds(1))
        let stored = try await store.write("update") { transaction in
            try transaction.update(
                Sample.vm(1, state: .starting(Sample.placement(1, epoch: 1))), where: VMCondition(revision: 1))
        }
        #expect(stored?.revision == 2)
        #expect(stored?.updatedAt == clock.wall())
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == stored)
    }

    @Sendable private static func updateLosesByRevision(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        let won = try await store.write("first") { try $0.update(Sample.vm(1), where: VMCondition(revision: 1)) }
        let lost = try await store.write("second") { transaction in
            try transaction.update(Sample.vm(1, state: .destroyed), where: VMCondition(revision: 1))
        }
        #expect(won != nil)
        #expect(lost == nil)
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == won)
    }

    @Sendable private static func updateLosesByPlacement(_ store: any Database, _: ManualClock) async throws {
        let vm = Sample.vm(1, state: .running(Sample.placement(1, epoch: 7)))
        try await store.write("insert") { try $0.insert(vm) }
        for wrong in [Sample.placement(2, epoch: 7), Sample.placement(1, epoch: 6), Sample.placement(1, epoch: 8)] {
            let lost = try await store.write("late") { transaction in
                try transaction.update(stopped(vm), where: VMCondition(revision: 1, placement: wrong))
            }
            #expect(lost == nil)
        }
        #expect(try await store.read { try $0.vm(vm.id) } == vm)
        let condition = VMCondition(revision: 1, placement: vm.state.placement)
        let won = try await store.write("right") { try $0.update(stopped(vm), where: condition) }
        #expect(won?.state == .stopped(.requested))
        let again = try await store.write("again") { transaction in
            try transaction.update(
                stopped(vm), where: VMCondition(revision: 2, placement: Sample.placement(1, epoch: 7)))
        }
        #expect(again == nil)
    }

    @Sendable private static func oneWriterWins(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    try await store.write("race") { transaction in
                        try transaction.update(Sample.vm(1), where: VMCondition(revision: 1)) != nil
                    }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
        #expect(try await store.read { try $0.vm(Sample.vmID(1))?.revision } == 2)
    }

    @Sendable private static func placementIsFound(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            for (number, state) in everyState.enumerated() {
                try transaction.insert(Sample.vm(number + 1, state: state))
            }
            try transaction.insert(Sample.vm(50, state: .running(Sample.placement(2, epoch: 1))))
        }
        let placed = try await store.read { try $0.vms(placedOn: Sample.hostID(1)) }
        #expect(Set(placed.map(\.state)) == Set(everyState.filter { $0.placement != nil }))
        let expected = Allocation(cpus: placed.count * 2, memory: placed.count * 512)
        #expect(try await store.read { try $0.allocated(on: Sample.hostID(1)) } == expected)
        #expect(
            try await store.read { try $0.allocated(on: Sample.hostID(3)) } == Allocation(cpus: 0, memory: 0))
    }

    @Sendable private static func imageIsFound(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.vm(1, image: 1))
            try transaction.insert(Sample.vm(2, state: .destroyed, image: 1))
            try transaction.insert(Sample.vm(3, image: 2))
            try transaction.insert(Sample.vm(4, image: 1))
            try transaction.insert(Sample.vm(5, state: .expunging, image: 1))
        }
        let made = try await store.read { try $0.vms(madeFrom: Sample.imageID(1), limit: 10).map(\.id) }
        #expect(made == [Sample.vmID(1), Sample.vmID(2), Sample.vmID(4)])
        #expect(try await store.read { try $0.vms(madeFrom: Sample.imageID(1), limit: 1).count } == 1)
    }

    @Sendable private static func neighboursAreFound(_ store: any Database, _: ManualClock) async throws {
        let db = Labels(trusted: ["app": "db"])
        let web = Labels(trusted: ["app": "web"])
        @Sendable func vm(_ number: Int, _ labels: Labels, _ rules: PlacementRules, on host: Int?) -> VM {
            VM(
                id: Sample.vmID(number), name: "vm\(number)", image: Sample.imageID(1), cpus: 1, memory: 16,
                state: host.map { .running(Sample.placement($0, epoch: 1)) } ?? .created, epoch: Epoch(1),
                labels: labels,
                rules: rules, createdAt: Sample.time, updatedAt: Sample.time)
        }
        let all = PlacementRules(hostLabels: db, affinity: web, antiAffinity: db)
        try await store.write("insert") { transaction in
            try transaction.insert(vm(1, db, all, on: 1))
            try transaction.insert(vm(2, web, .none, on: 2))
            try transaction.insert(vm(3, db, .none, on: nil))
            try transaction.insert(vm(4, .none, PlacementRules(affinity: db), on: 1))
        }
        #expect(try await store.read { try $0.vm(Sample.vmID(1))?.rules } == all)
        func found(_ labels: Labels, _ rules: PlacementRules) async throws -> [VMID] {
            try await store.read { try $0.neighbours(concerning: labels, rules).map(\.vm) }
        }
        #expect(try await found(.none, .none).isEmpty)
        #expect(try await found(.none, PlacementRules(hostLabels: db)).isEmpty)
        #expect(try await found(.none, PlacementRules(affinity: db)) == [Sample.vmID(1)])
        #expect(try await found(.none, PlacementRules(affinity: web, antiAffinity: db)) == [1, 2].map(Sample.vmID))
        #expect(try await found(db, .none) == [Sample.vmID(1)])
        let neighbour = try await store.read { try $0.neighbours(concerning: db, .none).first }
        #expect(
            neighbour
                == Neighbour(
                    vm: Sample.vmID(1), name: "vm1", host: Sample.hostID(1), labels: db, antiAffinity: db))
    }

    @Sendable private static func destroyedAreFoundByName(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.vm(1, name: "web"))
            for (number, state) in [(2, VMState.destroyed), (3, .expunging), (4, .destroyed)] {
                let created = Sample.time.adding(.seconds(10 - number))
                try transaction.insert(Sample.vm(number, name: "web", state: state, createdAt: created))
            }
            try transaction.insert(Sample.vm(5, name: "other", state: .destroyed))
        }
        let past = try await store.read { try $0.destroyedVMs(named: "web", limit: 10).map(\.id) }
        #expect(past == [4, 3, 2].map { Sample.vmID($0) })
        #expect(try await store.read { try $0.destroyedVMs(named: "web", limit: 1).map(\.id) } == [Sample.vmID(4)])
        #expect(try await store.read { try $0.destroyedVMs(named: "none", limit: 1) }.isEmpty)
    }

    @Sendable private static func dueAreFound(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 31)] {
                var vm = Sample.vm(number, state: .destroyed)
                vm.expungeAt = Sample.time.adding(.seconds(seconds))
                try transaction.insert(vm)
            }
            var destroying = Sample.vm(5, state: .destroying(nil, waiting: nil))
            destroying.expungeAt = Sample.time
            try transaction.insert(destroying)
            try transaction.insert(Sample.vm(6, state: .expunging))
        }
        func due(_ seconds: Int, limit: Int) async throws -> [VMID] {
            try await store.read {
                try $0.destroyedVMs(keptUntil: Sample.time.adding(.seconds(seconds)), limit: limit).map(\.id)
            }
        }
        #expect(try await due(9, limit: 10).isEmpty)
        #expect(try await due(30, limit: 10) == [2, 3, 1].map { Sample.vmID($0) })
        #expect(try await due(30, limit: 2) == [2, 3].map { Sample.vmID($0) })
    }

    @Sendable private static func removalIsConditional(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.vm(1, state: .expunging))
            try transaction.insert(Sample.vm(2))
        }
        let runs = Counter()
        try await store.write("remove") { transaction in
            // A missed condition runs the body again: the second time on what is there.
            try transaction.remove(Sample.vmID(1), atRevision: runs.next() == 1 ? 7 : 1)
        }
        #expect(runs.next() == 3)
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == nil)
        #expect(try await store.read { try $0.vm(Sample.vmID(2)) } != nil)
    }

    static let everyState: [VMState] = [
        .created, .starting(Sample.placement(1, epoch: 1)), .running(Sample.placement(1, epoch: 2)),
        .paused(Sample.placement(1, epoch: 3)), .stopping(Sample.placement(1, epoch: 4), waiting: nil),
        .stopping(Sample.placement(1, epoch: 5), waiting: .hostDisconnected), .stopped(.guestShutdown),
        .crashed(.failed), .unknown(Sample.placement(1, epoch: 6), .libvirtUnavailable),
        .destroying(nil, waiting: nil), .destroying(Sample.placement(1, epoch: 7), waiting: .hostDeleted),
        .destroying(nil, waiting: .outcomeUnknown), .destroyed, .expunging,
    ]

    /// Counts calls.
    private final class Counter: Sendable {
        private let count = Mutex(0)

        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    static func stopped(_ vm: VM) -> VM {
        var next = vm
        next.state = .stopped(.requested)
        return next
    }

    static func expectNameTaken(
        _ body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        do {
            try await body()
            Issue.record("the second of the name was accepted", sourceLocation: sourceLocation)
        } catch let fault as Fault {
            #expect(fault.code == .nameTaken, sourceLocation: sourceLocation)
        }
    }
}
