import ControlPlane
import Domain
import Testing

extension Check {
    /// Images, credentials, events and requests.
    static let recordChecks = [
        Check("an image is stored, replaced at its revision, and removed", imageLife),
        Check("an API token's hash finds its principal, and keeps it", tokenFindsPrincipal),
        Check("a join token is used once, by one of many at the same time", joinTokenIsUsedOnce),
        Check("revoking ends a host's unused join tokens, and no others", joinTokensAreRevoked),
        Check("events are numbered in commit order, without a gap", eventsAreNumbered),
        Check("the oldest events are removed, a few at a time, and none between two that stay", oldEventsAreRemoved),
        Check("a request is remembered by its key until it is forgotten", requestIsRemembered),
    ]

    @Sendable private static func imageLife(_ store: any Database, _: ManualClock) async throws {
        let file = ImageFile(part: .disk, format: .qcow2, size: 1 << 33, virtualSize: 1 << 35, sha256: "ab")
        try await store.write("insert") { try $0.insert(Sample.image(1, kind: .disk)) }
        #expect(try await store.read { try $0.image(named: "image1") } == Sample.image(1, kind: .disk))
        let stored = try await store.write("upload") { transaction in
            var next = Sample.image(1, kind: .disk)
            next.files = [file]
            return try transaction.replace(next, atRevision: 1)
        }
        #expect(try await store.read { try $0.image(Sample.imageID(1)) } == stored)
        #expect(stored.files == [file])
        await #expect(throws: Fault.self) {
            try await store.write("late") { _ = try $0.replace(Sample.image(1), atRevision: 1) }
        }
        try await expectNameTaken {
            try await store.write("insert") { transaction in
                var second = Sample.image(2)
                second.name = "image1"
                try transaction.insert(second)
            }
        }
        try await store.write("remove") { try $0.remove(Sample.imageID(1)) }
        #expect(try await store.read { try $0.image(Sample.imageID(1)) } == nil)
    }

    @Sendable private static func tokenFindsPrincipal(_ store: any Database, _: ManualClock) async throws {
        try await store.write("token") { transaction in
            try transaction.insertToken(hash: "aa", principal: Principal(name: "admin"))
            try transaction.insertToken(hash: "aa", principal: Principal(name: "other"))
        }
        #expect(try await store.read { try $0.principal(tokenHash: "aa") } == Principal(name: "admin"))
        #expect(try await store.read { try $0.principal(tokenHash: "ab") } == nil)
    }

    @Sendable private static func joinTokenIsUsedOnce(_ store: any Database, _: ManualClock) async throws {
        let token = JoinToken(hash: "t", host: Sample.hostID(1), expiresAt: Sample.time, usedBy: nil)
        try await store.write("token") { try $0.insertJoinToken(token) }
        #expect(try await store.read { try $0.joinToken(hash: "t") } == token)
        let winners = try await withThrowingTaskGroup(of: String?.self) { group in
            for number in 0..<16 {
                group.addTask {
                    let key = "key \(number)"
                    return try await store.write("use") { try $0.useJoinToken(hash: "t", publicKey: key) }
                        ? key : nil
                }
            }
            return try await group.reduce(into: [String]()) { $0 += $1.map { [$0] } ?? [] }
        }
        #expect(winners.count == 1)
        #expect(try await store.read { try $0.joinToken(hash: "t")?.usedBy } == winners.first)
        #expect(try await store.write("use") { try !$0.useJoinToken(hash: "none", publicKey: "k") })
    }

    @Sendable private static func joinTokensAreRevoked(_ store: any Database, _: ManualClock) async throws {
        @Sendable func token(_ hash: String, _ host: Int, usedBy: String? = nil) -> JoinToken {
            JoinToken(hash: hash, host: Sample.hostID(host), expiresAt: Sample.time, usedBy: usedBy)
        }
        try await store.write("revoke") { transaction in
            try transaction.insertJoinToken(token("unused", 1))
            try transaction.insertJoinToken(token("used", 1, usedBy: "k"))
            try transaction.insertJoinToken(token("other", 2))
            try transaction.revokeJoinTokens(of: Sample.hostID(1))
        }
        #expect(try await store.read { try $0.joinToken(hash: "unused") } == nil)
        #expect(try await store.read { try $0.joinToken(hash: "used") } != nil)
        #expect(try await store.read { try $0.joinToken(hash: "other") } != nil)
    }

    @Sendable private static func oldEventsAreRemoved(_ store: any Database, _ clock: ManualClock) async throws {
        #expect(try await store.read { try $0.oldestEventID() } == nil)
        let start = clock.wall()
        // The clock was set back in between: the fourth has an earlier time than the third.
        for seconds in [0, 1, 9, 2, 9] {
            clock.advance(by: .milliseconds(start.milliseconds - clock.wall().milliseconds) + .seconds(seconds))
            try await store.write("tell") { try $0.append(Event(kind: "test", message: "at \(seconds)")) }
        }
        let before = start.adding(.seconds(5))
        func ids() async throws -> [Int64] { try await store.read { try $0.events(after: 0, limit: 9).map(\.id) } }
        #expect(try await store.write("sweep") { try $0.removeEvents(before: start, limit: 9) } == 0)
        #expect(try await store.write("sweep") { try $0.removeEvents(before: before, limit: 1) } == 1)
        #expect(try await ids() == [2, 3, 4, 5])
        #expect(try await store.write("sweep") { try $0.removeEvents(before: before, limit: 9) } == 1)
        #expect(try await ids() == [3, 4, 5])
        #expect(try await store.read { try $0.oldestEventID() } == 3)
        let later = start.adding(.seconds(60))
        #expect(try await store.write("sweep") { try $0.removeEvents(before: later, limit: 9) } == 3)
        #expect(try await store.read { try $0.oldestEventID() } == nil)
        #expect(try await store.read { try $0.latestEventID() } == 5)
        try await store.write("tell") { try $0.append(Event(kind: "test", message: "next")) }
        #expect(try await ids() == [6])
    }

    @Sendable private static func eventsAreNumbered(_ store: any Database, _ clock: ManualClock) async throws {
        #expect(try await store.read { try $0.latestEventID() } == 0)
        let full = Event(
            kind: "vm.stopping", vm: Sample.vmID(1), host: Sample.hostID(1), job: Sample.jobID(1), epoch: Epoch(7),
            message: "It's stopping.", principal: "admin")
        try await store.write("append") { try $0.append(full) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    try? await store.write("append") { transaction in
                        try transaction.append(Event(kind: "a", message: "\(number) a"))
                        if number % 4 == 0 { throw Refusal() }
                        try transaction.append(Event(kind: "b", message: "\(number) b"))
                    }
                }
            }
            try await group.waitForAll()
        }
        let events = try await store.read { try $0.events(after: 0, limit: 1000) }
        #expect(events.map(\.id) == (1...61).map { Int64($0) })
        #expect(events.first == NumberedEvent(id: 1, at: clock.wall(), event: full))
        for pair in stride(from: 1, to: 61, by: 2) {
            #expect(events[pair].event.message.dropLast() == events[pair + 1].event.message.dropLast())
        }
        #expect(try await store.read { try $0.latestEventID() } == 61)
        #expect(try await store.read { try $0.events(after: 59, limit: 1).map(\.id) } == [60])
    }

    @Sendable private static func requestIsRemembered(_ store: any Database, _ clock: ManualClock) async throws {
        let request = RememberedRequest(key: "k", digest: "d", resource: "r")
        try await store.write("remember") { try $0.remember(request) }
        #expect(try await store.read { try $0.rememberedRequest(key: "k") } == request)
        #expect(try await store.read { try $0.rememberedRequest(key: "other") } == nil)
        await #expect(throws: Fault.self) {
            try await store.write("again") {
                try $0.remember(RememberedRequest(key: "k", digest: "x", resource: "y"))
            }
        }
        #expect(try await store.write("forget") { try $0.forgetRequests(before: $0.now, limit: 9) } == 0)
        clock.advance(by: .seconds(1))
        #expect(try await store.write("forget") { try $0.forgetRequests(before: $0.now, limit: 9) } == 1)
        #expect(try await store.read { try $0.rememberedRequest(key: "k") } == nil)
    }
}
