import APIContract
import Foundation
import Testing

extension EndToEnd {
    @Suite(.serialized) struct Plans {
        @Test func `a plan names the host that a start then takes, and creates nothing`() async throws {
            let bench = try await EndToEnd.bench()
            try await bench.roost("host", "disable", "h1")
            let size = ["--image", "tiny", "--cpus", "1", "--memory", "96"]
            let plan = try await bench.tryRoost(arguments: ["vm", "create", "planned", "-o", "json", "--plan"] + size)
            #expect(plan.status == 0, "\(plan.err)")
            let placement = try plan.json(PlacementResource.self)
            let chosen = placement.hosts.first { $0.id == placement.host }
            #expect(chosen?.name == "h2")
            #expect(placement.hosts.first { $0.name == "h1" }?.reason == "The host is disabled.")
            #expect(try await bench.tryRoost("vm", "show", "planned").status == 3)

            _ = try await bench.tryRoost(arguments: ["vm", "create", "planned"] + size)
            #expect(try await bench.vm("planned").host == placement.host)
            try await bench.roost("vm", "delete", "planned", "--expunge")

            try await bench.roost("host", "disable", "h2")
            let none = try await bench.tryRoost(arguments: ["vm", "create", "planned", "--plan"] + size)
            #expect(none.status == 4)
            #expect(none.out.contains("h1") && none.out.contains("h2") && none.out.contains("disabled"))
            for host in ["h1", "h2"] { try await bench.roost("host", "enable", host) }
        }
    }
}
