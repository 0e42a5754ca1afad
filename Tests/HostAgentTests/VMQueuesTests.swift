import Domain
import Synchronization
import Testing

@testable import HostAgent

/// What happened, in order.
private final class Order: Sendable {
    private let entries = Mutex<[String]>([])

    var seen: [String] { entries.withLock { $0 } }

    func note(_ entry: String) { entries.withLock { $0.append(entry) } }
}

@Suite struct VMQueuesTests {
    @Test func `one command at a time at each VM, and the others are not held up`() async {
        let queues = VMQueues()
        let gates = Gates()
        gates.close("some")
        let order = Order()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await queues.run(someVM) {
                    order.note("first begins")
                    await gates.reach("some")
                    order.note("first ends")
                }
            }
            let isHeld = await eventually { gates.held("some") == 1 }
            #expect(isHeld)
            for number in 1...20 {
                group.addTask {
                    await queues.run(someVM) {
                        order.note("later begins")
                        await Task.yield()
                        order.note("later ends \(number)")
                    }
                }
            }
            let free = await queues.run(otherVM) { 7 }
            #expect(free == 7)
            gates.open("some")
        }
        let seen = order.seen
        #expect(seen.prefix(2) == ["first begins", "first ends"])
        #expect(seen.count == 42)
        for index in stride(from: 2, to: seen.count, by: 2) {
            #expect(seen[index] == "later begins")
            #expect(seen[index + 1].hasPrefix("later ends"))
        }
    }

    @Test func `a body that throws makes way for the next`() async {
        struct Failure: Error {}
        let queues = VMQueues()
        await #expect(throws: Failure.self) { try await queues.run(someVM) { throw Failure() } }
        let next = await queues.run(someVM) { "ran" }
        #expect(next == "ran")
    }

    @Test func `an id that is given back without an end passes to who waits for it`() async {
        let claims = CommandClaims()
        let isFirst = claims.claimIfFree(first)
        let isSecond = claims.claimIfFree(first)
        #expect(isFirst)
        #expect(!isSecond)
        async let waiting = claims.claim(first)
        await Task.yield()
        claims.release(first, with: nil)
        guard case .claimed = await waiting else {
            Issue.record("an end came from nowhere")
            return
        }
        claims.release(first, with: nil)
        let isFree = claims.claimIfFree(first)
        #expect(isFree)
    }
}
