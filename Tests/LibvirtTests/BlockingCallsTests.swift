import HostAgent
import Synchronization
import Testing

@testable import LibvirtHypervisor

@Suite struct BlockingCallsTests {
    private let calls = BlockingCalls(threadsMax: 2)

    @Test func `a call gives what it returned or threw`() async throws {
        #expect(try await calls.run("a", within: .seconds(60)) { () throws(HypervisorError) in 7 } == 7)
        await #expect(throws: HypervisorError.noDomain) {
            try await calls.run("b", within: .seconds(60)) { () throws(HypervisorError) in throw .noDomain }
        }
    }

    @Test func `a call that hangs costs its caller only the limit, and others nothing`() async throws {
        let gate = Monitor(false)
        await #expect(throws: HypervisorError.self) {
            try await calls.run("hung", within: .milliseconds(20)) { () throws(HypervisorError) in
                _ = gate.wait { $0 ? true : nil }
            }
        }
        #expect(try await calls.run("other", within: .seconds(60)) { () throws(HypervisorError) in 1 } == 1)
        gate.change { $0 = true }
    }

    @Test func `a call that no thread took up in time never runs`() async throws {
        let gate = Monitor(false)
        let runs = Mutex(0)
        for _ in 1...2 {
            await #expect(throws: HypervisorError.self) {
                try await calls.run("hung", within: .milliseconds(20)) { () throws(HypervisorError) in
                    _ = gate.wait { $0 ? true : nil }
                }
            }
        }
        await #expect(throws: HypervisorError.self) {
            try await calls.run("late", within: .milliseconds(20)) { () throws(HypervisorError) in
                runs.withLock { $0 += 1 }
            }
        }
        gate.change { $0 = true }
        // Runs after the late one had its turn, as there is a thread for both.
        for _ in 1...2 { try await calls.run("next", within: .seconds(60)) { () throws(HypervisorError) in } }
        #expect(runs.withLock { $0 } == 0)
    }

    @Test func `calls that wait for a lost libvirtd end at once`() async throws {
        let gate = Monitor(false)
        let entered = Monitor(false)
        let waiting = Task {
            try await calls.run("hung", within: .seconds(600)) { () throws(HypervisorError) in
                entered.change { $0 = true }
                _ = gate.wait { $0 ? true : nil }
            }
        }
        try await BlockingCalls().run("wait", within: .seconds(60)) { () throws(HypervisorError) in
            _ = entered.wait { $0 ? true : nil }
        }
        calls.abandon("it is gone")
        await #expect(throws: HypervisorError.unreachable("it is gone")) { try await waiting.value }
        gate.change { $0 = true }
    }

    @Test func `many calls share few threads`() async throws {
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 1...200 {
                group.addTask { [calls] in
                    try await calls.run("a", within: .seconds(60)) { () throws(HypervisorError) in number }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 20100)
    }
}
