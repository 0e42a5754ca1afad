import ControlPlane
import Domain
import PostgresBench
import StoreConformance
import Testing

@testable import SQLStore

/// Several stores on one database, as several nodes have it.
@Suite struct NodesTests {
    @Test func `of many conditional writes on two nodes none is lost`() async throws {
        let place = try TemporaryDatabase()
        let nodes = [try place.open(), try place.open()]
        try await nodes[0].write("insert") { try $0.insert(Sample.host(1)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes {
                for _ in 1...4 {
                    group.addTask {
                        for _ in 1...25 {
                            try await node.write("count") { transaction in
                                guard var host = try transaction.host(Sample.hostID(1)) else { return }
                                host.session += 1
                                _ = try transaction.replace(host, atRevision: host.revision)
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let host = try await nodes[1].read { try $0.host(Sample.hostID(1)) }
        #expect(host?.session == Sample.host(1).session + 200)
        for node in nodes { node.close() }
        try place.remove()
    }

    @Test func `what a body has read holds until its commit, whatever other nodes do`() async throws {
        let place = try TemporaryDatabase()
        let nodes = [try place.open(), try place.open(), try place.open()]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (first, node) in nodes.enumerated() {
                group.addTask {
                    for number in 1...30 {
                        try await node.write("place") { transaction in
                            // As a start reserves room on its host.
                            guard try transaction.vms(ListQuery()).items.count < 10 else { return }
                            try transaction.insert(Sample.vm(first * 100 + number))
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await nodes[0].read { try $0.vms(ListQuery()).items.count } == 10)
        for node in nodes { node.close() }
        try place.remove()
    }

    @Test func `each due job is claimed by one node`() async throws {
        let place = try TemporaryDatabase()
        let nodes = [try place.open(), try place.open(), try place.open()]
        try await nodes[0].write("enqueue") { transaction in
            for number in 1...300 { _ = try transaction.enqueue(Sample.job(number)) }
        }
        place.clock.advance(by: .seconds(3600))
        let claimed = Shared<[JobID]>([])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, node) in nodes.enumerated() {
                group.addTask {
                    while true {
                        let jobs = try await node.write("claim") { try $0.claimDueJobs(owner: "n\(number)", limit: 7) }
                        if jobs.isEmpty { return }
                        claimed.change { $0 += jobs.map(\.id) }
                    }
                }
            }
            try await group.waitForAll()
        }
        let all = claimed.value
        #expect(all.count == 300)
        #expect(Set(all).count == 300)
        for node in nodes { node.close() }
        try place.remove()
    }

    @Test func `a commit wakes the other nodes, and says whether it touched jobs; its own node hears nothing`()
        async throws
    {
        let place = try TemporaryDatabase()
        let heard = Shared<[Bool]>([])
        let own = Shared<[Bool]>([])
        let writer = try place.open(onNotice: { notice in own.change { $0.append(notice) } })
        let listener = try place.open(onNotice: { notice in heard.change { $0.append(notice) } })
        try await waitUntil("it listens") {
            try await writer.write("insert") { transaction in
                try transaction.append(Event(kind: "vm.created", message: "Made."))
            }
            return heard.value.contains(false)
        }
        _ = try await writer.write("enqueue") { try $0.enqueue(Sample.job(1)) }
        try await waitUntil("it hears of jobs") { heard.value.contains(true) }
        #expect(own.value.isEmpty)
        writer.close()
        listener.close()
        try place.remove()
    }

    @Test func `event ids rise in the order of commits on all nodes, without a gap`() async throws {
        let place = try TemporaryDatabase()
        let nodes = [try place.open(), try place.open()]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes {
                group.addTask {
                    for _ in 1...50 {
                        try await node.write("append") { try $0.append(Event(kind: "vm.created", message: "Made.")) }
                    }
                }
            }
            try await group.waitForAll()
        }
        let events = try await nodes[0].read { try $0.events(after: 0, limit: 1000) }
        #expect(events.map(\.id) == Array(1...100))
        for node in nodes { node.close() }
        try place.remove()
    }
}
