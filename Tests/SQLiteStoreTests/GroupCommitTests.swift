import ControlPlane
import Domain
import SQLStore
import StoreConformance
import Synchronization
import Testing

@Suite struct GroupCommitTests {
    @Test func `64 writers at once share commits, and all of it is there after reopening`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<64 {
                group.addTask {
                    for number in 1...4 {
                        try await store.write("insert") { try $0.insert(Sample.vm(writer * 4 + number)) }
                    }
                }
            }
            try await group.waitForAll()
        }
        let counts = store.commitCounts
        #expect(counts.bodies == 256)
        #expect(counts.commits < counts.bodies)
        store.close()

        let reopened = try place.open()
        let vms = try await reopened.read { try $0.vms(ListQuery(limit: 1000)).items }
        #expect(Set(vms.map(\.id)) == Set((1...256).map { Sample.vmID($0) }))
        reopened.close()
    }

    @Test func `writes that wait during a commit share the next one, and one that throws harms no other`() async throws
    {
        let place = try TemporaryStore()
        defer { place.remove() }
        let gate = Gate(holding: "before-first")
        let store = try place.open(faults: gate)
        let first = Task { try await store.write("first") { try $0.insert(Sample.vm(100)) } }
        try await waitUntil("the first commit is held") { gate.reached.contains("before-first") }
        let writers = (1...20).map { number in
            Task {
                try await store.write("later") { transaction in
                    try transaction.insert(Sample.vm(number))
                    if number == 7 { throw Refusal() }
                }
            }
        }
        try await waitUntil("all wait") { store.waitingWrites == 20 }
        gate.open()
        try await first.value
        for (index, writer) in writers.enumerated() {
            let result = await writer.result
            if index + 1 == 7 {
                #expect(throws: Refusal.self) { try result.get() }
            } else {
                #expect(throws: Never.self) { try result.get() }
            }
        }
        #expect(store.commitCounts == (commits: 2, bodies: 20))
        let kept = try await store.read { try $0.vms(ListQuery(limit: 1000)).items.map(\.id) }
        #expect(Set(kept) == Set(([100] + Array(1...20)).filter { $0 != 7 }.map { Sample.vmID($0) }))
        store.close()
    }

    @Test func `what waits when the store closes is carried out, and what comes later is refused`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let gate = Gate(holding: "before-first")
        let store = try place.open(faults: gate)
        let first = Task { try await store.write("first") { try $0.insert(Sample.vm(1)) } }
        try await waitUntil("the first commit is held") { gate.reached.contains("before-first") }
        let second = Task { try await store.write("second") { try $0.insert(Sample.vm(2)) } }
        try await waitUntil("the second waits") { store.waitingWrites == 1 }
        gate.open()
        store.close()
        try await first.value
        try await second.value
        for attempt in [true, false] {
            let fault = await #expect(throws: Fault.self) {
                if attempt {
                    try await store.write("late") { try $0.insert(Sample.vm(3)) }
                } else {
                    _ = try await store.read { try $0.vm(Sample.vmID(1)) }
                }
            }
            #expect(fault?.code == .storeUnavailable)
        }
        store.close()
        let reopened = try place.open()
        #expect(try await reopened.read { try $0.vms(ListQuery()).items.count } == 2)
        reopened.close()
    }

    @Test func `the caller hears nothing before the fault point after its commit`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let gate = Gate(holding: "after-change")
        let store = try place.open(faults: gate)
        let answered = Mutex(false)
        let caller = Task {
            try await store.write("change") { try $0.insert(Sample.vm(1)) }
            answered.withLock { $0 = true }
        }
        try await waitUntil("the change is durable") { gate.reached.contains("after-change") }
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == Sample.vm(1))
        #expect(answered.withLock { $0 } == false)
        gate.open()
        try await caller.value
        #expect(gate.reached == ["before-change", "after-change"])
        store.close()
    }

    @Test func `each commit is told with its events, in commit order, and says whether jobs changed`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let told = Mutex((ids: [Int64](), jobs: [Bool]()))
        let store = try place.open { events, jobsTouched in
            told.withLock { told in
                told.ids += events.map(\.id)
                told.jobs.append(jobsTouched)
            }
        }
        try await store.write("plain") { try $0.insert(Sample.vm(1)) }
        try await store.write("job") { _ = try $0.enqueue(Sample.job(1)) }
        try await store.write("claim") { _ = try $0.claimDueJobs(owner: "a", limit: 1) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    try? await store.write("event") { transaction in
                        try transaction.append(Event(kind: "x", message: "Something."))
                        if number % 5 == 0 { throw Refusal() }
                    }
                }
            }
            try await group.waitForAll()
        }
        store.close()
        #expect(told.withLock { $0.jobs.prefix(3) } == [false, true, false])
        #expect(told.withLock { $0.ids } == (1...40).map { Int64($0) })
    }

    struct Refusal: Error {}
}
