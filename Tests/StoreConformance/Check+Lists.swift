import ControlPlane
import Domain
import Testing

extension Check {
    static let listChecks = [
        Check("pages cover a list once, also where the sort values are equal", pagesCoverOnce),
        Check("a list is sorted by name, and equal names by id", equalNamesByID),
        Check("VMs are filtered by state, host, name and image, by id or by name", vmFilters),
        Check("hosts and images are filtered and sorted by name", hostAndImageFilters),
        Check("jobs are filtered in the words of operations and of GC jobs", jobFilters),
        Check("hosts and VMs are filtered by labels, in whole words and with their case", labelFilters),
        Check("what cannot be asked of a list is refused by name", badQueriesAreRefused),
    ]

    @Sendable private static func pagesCoverOnce(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            for number in 1...23 {
                let created = Sample.time.adding(.seconds(number / 6))
                try transaction.insert(Sample.vm(number, state: .destroyed, createdAt: created))
            }
        }
        for descending in [false, true] {
            for limit in [1, 5, 23, 100] {
                let query = ListQuery(sort: "createdAt", descending: descending, limit: limit)
                let ids = try await allPages(query) { query in try await store.read { try $0.vms(query) } }.map(
                    \.id)
                let expected = (1...23).map { Sample.vmID($0) }
                #expect(ids == (descending ? expected.reversed() : expected), "limit \(limit)")
            }
        }
    }

    @Sendable private static func equalNamesByID(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            for (number, name) in ["b", "a", "b", "c", "b"].enumerated() {
                try transaction.insert(Sample.vm(number + 1, name: name, state: .destroyed))
            }
        }
        let vms = try await allPages(ListQuery(sort: "name", limit: 2)) { query in
            try await store.read { try $0.vms(query) }
        }
        #expect(vms.map(\.id) == [2, 1, 3, 5, 4].map { Sample.vmID($0) })
    }

    @Sendable private static func vmFilters(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.image(1))
            try transaction.insert(Sample.host(1))
            try transaction.insert(Sample.vm(1, state: .running(Sample.placement(1, epoch: 1))))
            try transaction.insert(Sample.vm(2, state: .running(Sample.placement(2, epoch: 1)), image: 2))
            try transaction.insert(Sample.vm(3))
        }
        func ids(_ filters: [String: String]) async throws -> [VMID] {
            try await store.read { try $0.vms(ListQuery(filters: filters)).items.map(\.id) }
        }
        #expect(try await ids(["state": "running"]) == [Sample.vmID(1), Sample.vmID(2)])
        #expect(try await ids(["state": "running", "host": Sample.hostID(2).rawValue]) == [Sample.vmID(2)])
        #expect(try await ids(["host": "host1"]) == [Sample.vmID(1)])
        #expect(try await ids(["name": "vm3"]) == [Sample.vmID(3)])
        #expect(try await ids(["image": "image1"]) == [Sample.vmID(1), Sample.vmID(3)])
        #expect(try await ids(["name": "' OR 1=1 --"]).isEmpty)
    }

    @Sendable private static func hostAndImageFilters(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            var up = Sample.host(1, name: "z")
            up.connection = .connected
            try transaction.insert(up)
            try transaction.insert(Sample.host(2, name: "a"))
            try transaction.insert(Sample.image(1))
            try transaction.insert(Sample.image(2, kind: .disk))
        }
        let hosts = try await store.read { try $0.hosts(ListQuery(sort: "name")).items.map(\.name) }
        #expect(hosts == ["a", "z"])
        let up = try await store.read {
            try $0.hosts(ListQuery(filters: ["connection": "connected"])).items.map(\.name)
        }
        #expect(up == ["z"])
        let disks = try await store.read { try $0.images(ListQuery(filters: ["kind": "disk"])).items.map(\.id) }
        #expect(disks == [Sample.imageID(2)])
    }

    @Sendable private static func labelFilters(_ store: any Database, _: ManualClock) async throws {
        try await store.write("insert") { transaction in
            for (number, labels) in [
                ["app": "web", "tier": "1"], ["app": "web2"], ["app": "Web"], ["myapp": "web"],
                ["x": "app", "y": "web"],
                ["app": "web", "e_e": "ab"], [:],
            ].enumerated() {
                var vm = Sample.vm(number + 1)
                vm.labels = Labels(trusted: labels)
                try transaction.insert(vm)
                var host = Sample.host(number + 1)
                host.labels = vm.labels
                try transaction.insert(host)
            }
        }
        func numbers(_ label: String) async throws -> [VMID] {
            let query = ListQuery(filters: ["label": label])
            let hosts = try await store.read { try $0.hosts(query).items.map(\.name) }
            let vms = try await store.read { try $0.vms(query).items }
            #expect(hosts == vms.map { $0.name.replacing("vm", with: "host") })
            return vms.map(\.id)
        }
        #expect(try await numbers("app=web") == [Sample.vmID(1), Sample.vmID(6)])
        #expect(try await numbers("app=web,tier=1") == [Sample.vmID(1)])
        #expect(try await numbers("app=Web") == [Sample.vmID(3)])
        #expect(try await numbers("e_e=ab") == [Sample.vmID(6)])
        #expect(try await numbers("e.e=ab").isEmpty)
        #expect(try await numbers("app=").isEmpty)
    }

    @Sendable private static func jobFilters(_ store: any Database, _: ManualClock) async throws {
        try await fillJobs(store)
        func ids(_ filters: [String: String]) async throws -> [JobID] {
            try await store.read { try $0.jobs(ListQuery(filters: filters)).items.map(\.id) }
        }
        func numbers(_ numbers: Int...) -> [JobID] { numbers.map { Sample.jobID($0) } }
        #expect(try await ids(["purpose": "operation"]) == numbers(1, 2, 3, 4))
        #expect(try await ids(["purpose": "gc"]) == numbers(5, 6, 7, 8))
        #expect(try await ids(["purpose": "operation", "state": "pending"]) == numbers(1))
        #expect(try await ids(["purpose": "operation", "state": "succeeded"]) == numbers(2))
        #expect(try await ids(["purpose": "operation", "state": "superseded"]) == numbers(3))
        #expect(try await ids(["purpose": "operation", "state": "cancelled"]) == numbers(4))
        #expect(try await ids(["purpose": "gc", "state": "waiting"]) == numbers(5))
        #expect(try await ids(["purpose": "gc", "state": "done"]) == numbers(6, 7))
        #expect(try await ids(["purpose": "gc", "state": "cancelled"]) == numbers(8))
        #expect(try await ids(["kind": "stop-vm", "vm": Sample.vmID(5).rawValue]) == numbers(5))
        #expect(try await ids(["purpose": "operation", "kind": "stop"]) == numbers(1, 2, 3, 4))
        #expect(try await ids(["host": Sample.hostID(2).rawValue]) == numbers(8))
        try await store.write("park") { transaction in
            for number in [1, 5] {
                var next = try #require(try transaction.job(Sample.jobID(number)))
                next.state = .parked
                _ = try transaction.replace(next, atRevision: next.revision)
            }
        }
        #expect(try await ids(["purpose": "operation", "state": "needs-attention"]) == numbers(1))
        #expect(try await ids(["purpose": "gc", "state": "needs-attention"]) == numbers(5))
        #expect(try await ids(["state": "needs-attention"]) == numbers(1, 5))
        #expect(try await ids(["purpose": "operation", "state": "pending"]).isEmpty)
        #expect(try await ids(["purpose": "gc", "state": "waiting"]).isEmpty)
    }

    @Sendable private static func badQueriesAreRefused(_ store: any Database, _: ManualClock) async throws {
        try await expectInvalid("colour") {
            try await store.read { _ = try $0.vms(ListQuery(filters: ["colour": "red"])) }
        }
        try await expectInvalid("state") {
            try await store.read { _ = try $0.vms(ListQuery(filters: ["state": "red"])) }
        }
        try await expectInvalid("state") {
            try await store.read { _ = try $0.jobs(ListQuery(filters: ["purpose": "gc", "state": "succeeded"])) }
        }
        for label in ["app", "app=' OR 1=1 --", "=", "app=a,app=b"] {
            try await expectInvalid("label") {
                try await store.read { _ = try $0.vms(ListQuery(filters: ["label": label])) }
            }
        }
        try await expectInvalid("kind") {
            try await store.read { _ = try $0.jobs(ListQuery(filters: ["purpose": "gc", "kind": "start"])) }
        }
        try await expectInvalid("purpose") {
            try await store.read { _ = try $0.jobs(ListQuery(filters: ["purpose": "x"])) }
        }
        try await expectInvalid("sort") { try await store.read { _ = try $0.jobs(ListQuery(sort: "name")) } }
        try await expectInvalid("sort") { try await store.read { _ = try $0.vms(ListQuery(sort: "id; --")) } }
        try await expectInvalid("limit") { try await store.read { _ = try $0.hosts(ListQuery(limit: 0)) } }
        let after = ListQuery.Cursor(value: "yesterday", id: "")
        try await expectInvalid("cursor") { try await store.read { _ = try $0.images(ListQuery(after: after)) } }
    }

    private static func fillJobs(_ store: any Database) async throws {
        try await store.write("enqueue") { transaction in
            for number in 1...4 { _ = try transaction.enqueue(Sample.job(number, .stopOperation)) }
            for number in 5...7 { _ = try transaction.enqueue(Sample.job(number)) }
            _ = try transaction.enqueue(Sample.job(8, host: 2))
            let verdicts: [Int: JobEnd.Verdict] = [
                2: .succeeded, 3: .superseded, 4: .cancelled, 6: .succeeded, 7: .superseded, 8: .cancelled,
            ]
            for (number, verdict) in verdicts {
                let job = try #require(try transaction.job(Sample.jobID(number)))
                _ = try transaction.replace(ended(job, verdict), atRevision: 1)
            }
        }
    }

    private static func allPages<Item>(
        _ query: ListQuery, _ page: (ListQuery) async throws -> ListPage<Item>
    ) async throws -> [Item] {
        var items: [Item] = []
        var query = query
        while true {
            let page = try await page(query)
            #expect(page.items.count <= query.limit)
            items += page.items
            guard let next = page.next else { return items }
            #expect(page.items.count == query.limit)
            query.after = next
        }
    }

    private static func expectInvalid(
        _ field: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
            Issue.record("\(field) was accepted", sourceLocation: sourceLocation)
        } catch let fault as Fault {
            #expect(fault.kind == .invalid, sourceLocation: sourceLocation)
            #expect(fault.field == field, sourceLocation: sourceLocation)
        }
    }
}
