import ControlPlane
import Domain
import Testing

extension Check {
    static let nodeChecks = [
        Check("a node is read as it was written, and its beat rises", nodesAreKept),
        Check("a node is removed only at the beat that was seen", removalMindsBeat),
        Check("a new node at a place ends the former ones there", placesHaveOneNode),
        Check("hosts and leases of a node that is off the record are stranded, and no others", strandedIsFound),
        Check(
            "a job is claimed by the node that holds its host's session, or by any while none does",
            claimsFollowSessions),
        Check("an errand is taken once, by its node, and its answer is there for whoever left it", errandsAreDone),
        Check("errands that wait are counted by node, until they are taken", waitingErrandsAreCounted),
        Check("a withdrawn errand says how it stood", errandsAreWithdrawn),
    ]

    @Sendable private static func nodesAreKept(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("join") { try $0.insert(Sample.node("a")) }
        #expect(try await store.read { try $0.nodes() } == [Sample.node("a")])
        clock.advance(by: .seconds(2))
        #expect(try await store.write("beat") { try $0.beat("a") })
        let node = try await store.read { try $0.nodes().first }
        #expect(node?.beat == 1)
        #expect(node?.seenAt == clock.wall())
        #expect(try await store.write("beat") { try $0.beat("unknown") } == false)
    }

    @Sendable private static func removalMindsBeat(_ store: any Database, _: ManualClock) async throws {
        try await store.write("join") { try $0.insert(Sample.node("a")) }
        _ = try await store.write("beat") { try $0.beat("a") }
        #expect(try await store.write("bury") { try $0.removeNode("a", atBeat: 0) } == false)
        #expect(try await store.write("bury") { try $0.removeNode("a", atBeat: 1) })
        #expect(try await store.write("bury") { try $0.removeNode("a", atBeat: 1) } == false)
        #expect(try await store.read { try $0.nodes() }.isEmpty)
    }

    @Sendable private static func waitingErrandsAreCounted(_ store: any Database, _ clock: ManualClock) async throws {
        let first = try await store.write("first") { transaction in
            try transaction.leave(Errand(id: "1", node: "a", host: Sample.hostID(1), request: "?"))
            try transaction.leave(Errand(id: "2", node: "b", host: Sample.hostID(1), request: "?"))
            return transaction.now
        }
        clock.advance(by: .seconds(5))
        try await store.write("second") { transaction in
            try transaction.leave(Errand(id: "3", node: "a", host: Sample.hostID(1), request: "?"))
        }
        #expect(
            try await store.read { try $0.waitingErrands() } == [
                WaitingErrands(node: "a", count: 2, since: first), WaitingErrands(node: "b", count: 1, since: first),
            ])
        _ = try await store.write("take") { try $0.takeErrands(for: "a", limit: 9) }
        #expect(try await store.read { try $0.waitingErrands() }.map(\.node) == ["b"])
    }

    @Sendable private static func placesHaveOneNode(_ store: any Database, _: ManualClock) async throws {
        try await store.write("join") { transaction in
            try transaction.insert(Sample.node("old", place: "p"))
            try transaction.insert(Sample.node("other", place: "q"))
            try transaction.removeNodes(at: "p")
            try transaction.insert(Sample.node("new", place: "p"))
        }
        #expect(try await store.read { try $0.nodes().map(\.id) } == ["new", "other"])
    }

    @Sendable private static func strandedIsFound(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.node("here"))
            for (number, node) in [(1, "here"), (2, "gone"), (3, nil)] {
                var host = Sample.host(number)
                (host.connection, host.node) = (.connected, node)
                try transaction.insert(host)
            }
            try transaction.insert(Sample.host(4))
            for number in 1...2 { _ = try transaction.enqueue(Sample.job(number, host: 4)) }
        }
        _ = try await store.write("claim") { try $0.claimDueJobs(owner: "here", limit: 1) }
        let lost = try await store.write("claim") { try $0.claimDueJobs(owner: "gone", limit: 1) }
        #expect(try await store.read { try $0.strandedHosts().map(\.id) } == [Sample.hostID(2), Sample.hostID(3)])
        #expect(try await store.write("take") { try $0.takeOverStrandedLeases() } == 1)
        #expect(try await store.read { try $0.job(lost[0].id)?.state } == .waiting)
        #expect(try await store.write("take") { try $0.takeOverStrandedLeases() } == 0)
    }

    @Sendable private static func claimsFollowSessions(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            for (number, node) in [(1, "a"), (2, "b"), (3, nil)] {
                var host = Sample.host(number)
                host.node = node
                try transaction.insert(host)
                _ = try transaction.enqueue(
                    Sample.job(number, host: number, due: Sample.time.adding(.seconds(number - 10))))
            }
        }
        #expect(try await store.read { try $0.nextDueTime(for: "b") } == Sample.time.adding(.seconds(-8)))
        let claimed = try await store.write("claim") { try $0.claimDueJobs(owner: "b", limit: 10) }
        #expect(claimed.map(\.id) == [Sample.jobID(2), Sample.jobID(3)])
        #expect(try await store.read { try $0.nextDueTime(for: "b") } == nil)
        #expect(try await store.read { try $0.nextDueTime(for: "a") } == Sample.time.adding(.seconds(-9)))
        #expect(
            try await store.write("claim") { try $0.claimDueJobs(owner: "a", limit: 10).map(\.id) } == [Sample.jobID(1)]
        )
    }

    private static func errand(_ id: String, for node: String) -> Errand {
        Errand(id: id, node: node, host: Sample.hostID(1), request: "question")
    }

    @Sendable private static func errandsAreDone(_ store: any Database, _ clock: ManualClock) async throws {
        try await store.write("leave") { transaction in
            try transaction.leave(errand("1", for: "a"))
            try transaction.leave(errand("2", for: "b"))
        }
        #expect(try await store.read { try $0.hasErrands(for: "a") })
        #expect(try await store.write("take") { try $0.takeErrands(for: "a", limit: 9) } == [errand("1", for: "a")])
        #expect(try await store.write("take") { try $0.takeErrands(for: "a", limit: 9) }.isEmpty)
        #expect(try await store.read { try $0.hasErrands(for: "a") } == false)
        #expect(try await store.read { try $0.errandAnswer("1") } == nil)
        try await store.write("answer") { try $0.answerErrand("1", with: "answer") }
        #expect(try await store.read { try $0.errandAnswer("1") } == "answer")
        clock.advance(by: .seconds(60))
        let now = clock.wall()
        try await store.write("clear") { try $0.removeErrands(before: now) }
        #expect(try await store.read { try $0.errandAnswer("1") } == nil)
        #expect(try await store.read { try $0.hasErrands(for: "b") } == false)
    }

    @Sendable private static func errandsAreWithdrawn(_ store: any Database, _: ManualClock) async throws {
        try await store.write("leave") { transaction in
            for id in ["1", "2", "3"] { try transaction.leave(errand(id, for: id)) }
            _ = try transaction.takeErrands(for: "2", limit: 1)
            _ = try transaction.takeErrands(for: "3", limit: 1)
            try transaction.answerErrand("3", with: "answer")
        }
        #expect(try await store.write("withdraw") { try $0.withdrawErrand("1") } == .untaken)
        #expect(try await store.write("withdraw") { try $0.withdrawErrand("2") } == .unanswered)
        #expect(try await store.write("withdraw") { try $0.withdrawErrand("3") } == .answered("answer"))
        #expect(try await store.write("withdraw") { try $0.withdrawErrand("3") } == .unanswered)
        #expect(try await store.read { try $0.hasErrands(for: "1") } == false)
    }
}
