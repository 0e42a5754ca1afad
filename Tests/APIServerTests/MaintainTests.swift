import Domain
import Testing

@testable import APIServer

/// A host's drain, over a real port.
@Suite struct MaintainTests {
    @Test func `a drain is an operation about a host, and asking again gives the same one`() async throws {
        try await TestServer.run { server in
            _ = try await server.addHost("h1")
            let made = try await server.send("POST", "/v1/hosts/h1/actions/maintain")
            #expect(made.status == 202, "\(made.text)")
            let id = try #require(made.json["id"]?.text)
            #expect(made.header("location") == "/v1/operations/\(id)")
            #expect(made.json["kind"] == "maintain" && made.json["vm"] == .null && made.json["state"] == "pending")
            let host = try await server.send("GET", "/v1/hosts/h1").json
            #expect(host["state"] == "maintenance" && host["id"] == made.json["host"])
            let again = try await server.send(
                "POST", "/v1/hosts/h1/actions/maintain", body: #"{"stopImmovable":true}"#)
            #expect(again.status == 202 && again.json["id"]?.text == id)
            let found = try await server.send("GET", "/v1/operations?host=h1&kind=maintain&state=pending").json
            #expect(found["items"]?.elements.count == 1)
            let cancelled = try await server.send("POST", "/v1/operations/\(id)/actions/cancel")
            #expect(cancelled.status == 200 && cancelled.json["state"] == "cancelled", "\(cancelled.text)")
            #expect(try await server.send("GET", "/v1/hosts/h1").json["state"] == "maintenance")
        }
    }

    @Test func `enabling the host ends its drain`() async throws {
        try await TestServer.run { server in
            _ = try await server.addHost("h1")
            let id = try await server.send("POST", "/v1/hosts/h1/actions/maintain").json["id"]?.text
            _ = try await server.send("POST", "/v1/hosts/h1/actions/enable")
            let ended = try await server.send("GET", "/v1/operations/\(id ?? "")").json
            #expect(ended["state"] == "superseded")
            let events = try await server.send("GET", "/v1/hosts/h1").json
            #expect(events["state"] == "enabled")
        }
    }

    @Test func `a plan names every VM, where it goes or what keeps it, and changes nothing`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await server.addHost("h1", connection: .connected)
            _ = try await server.addHost("h2")
            _ = try await server.send("POST", "/v1/vms", body: #"{"name":"a","image":"i","cpus":1,"memory":64}"#)
            _ = try await server.send("POST", "/v1/vms/a/actions/start")
            let plan = try await server.send("GET", "/v1/hosts/h1/drain-plan")
            #expect(plan.status == 200, "\(plan.text)")
            let vm = try #require(plan.json["vms"]?.elements.first)
            #expect(vm["name"] == "a" && vm["state"] == "starting" && vm["verdict"] == "waits")
            #expect(vm["target"] == .null && vm["code"] == "operation-in-progress")
            #expect(try await server.send("GET", "/v1/hosts/h1").json["state"] == "enabled")
            #expect(try await server.send("GET", "/v1/hosts/none/drain-plan").status == 404)
        }
    }

    @Test(arguments: [(#"{"stopImmovable":"yes"}"#, "stopImmovable"), (#"{"plan":true}"#, "plan")])
    func `a bad field is refused by its name`(_ body: String, _ field: String) async throws {
        try await TestServer.run { server in
            _ = try await server.addHost("h1")
            let answer = try await server.send("POST", "/v1/hosts/h1/actions/maintain", body: body)
            #expect(answer.status == 400 && answer.json["field"]?.text == field, "\(answer.text)")
            #expect(try await server.send("GET", "/v1/hosts/h1").json["state"] == "enabled")
        }
    }
}
