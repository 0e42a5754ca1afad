import APIContract
import ArgumentParser
import Testing

@testable import roost

struct LabelArgumentTests {
    @Test func `a change sets a label or removes one`() {
        #expect(LabelChange(argument: "a=1").map { ($0.key, $0.value) } ?? ("", nil) == ("a", "1"))
        #expect(LabelChange(argument: "a=")?.value == "")
        #expect(LabelChange(argument: "a=b-")?.value == "b-")
        let removal = LabelChange(argument: "example.com/a-")
        #expect(removal?.key == "example.com/a")
        #expect(removal?.value == nil)
        for text in ["", "a", "-", "=1"] { #expect(LabelChange(argument: text) == nil, "\(text)") }
    }

    @Test func `a command takes several labels, and none twice`() throws {
        let parsed = try HostCommand.Label.parse(["h1", "zone=a", "rack-"])
        #expect(parsed.labels.map == ["zone": "a", "rack": nil])
        #expect(throws: (any Error).self) { try HostCommand.Label.parse(["h1"]) }
        #expect(throws: (any Error).self) { try HostCommand.Label.parse(["h1", "a=1", "a-"]) }
        let create = try VMCommand.Create.parse([
            "web", "--image", "i", "--label", "app=web", "--label", "tier=1", "--host-label", "zone=a",
            "--anti-affinity", "app=db",
        ])
        #expect(create.placement.labelMap == ["app": "web", "tier": "1"])
        #expect(
            create.placement.rules == PlacementRulesResource(hostLabels: ["zone": "a"], antiAffinity: ["app": "db"]))
        #expect(try VMCommand.Create.parse(["web", "--image", "i"]).placement.rules == nil)
        #expect(throws: (any Error).self) {
            try VMCommand.Create.parse(["web", "--image", "i", "--affinity", "a=1", "--affinity", "a=2"])
        }
        #expect(try VMCommand.List.parse(["--label", "a=1", "--label", "b=2"]).filter.query == "a=1,b=2")
    }
}
