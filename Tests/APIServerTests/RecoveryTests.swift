import ControlPlane
import Domain
import Testing

@testable import APIServer

/// A server that works on restored records, over a real port.
@Suite struct RecoveryAPITests {
    @Test func `while the server observes, every change is refused and everything can be read`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await server.addHost("h1")
            try await server.database.write("begin") { try $0.beginRecovery("A copy.", isCopy: true) }
            let changes = server.table.routes.filter { $0.method != .get && $0.name != "acceptRecovery" }
            #expect(changes.count > 20)
            for route in changes {
                let path = route.path.description.replacing("{host}", with: "h1")
                let answer = try await server.send(
                    route.method.rawValue, path.replacing("{", with: "").replacing("}", with: ""))
                #expect(answer.status == 409 && answer.json["code"] == "recovering", "\(route.name): \(answer.text)")
                #expect(answer.json["hint"]?.text?.contains("roost recover --accept") == true)
            }
            for path in ["/v1/vms", "/v1/hosts", "/v1/gc-jobs", "/v1/operations", "/v1/hosts/h1"] {
                #expect(try await server.send("GET", path).status == 200)
            }
            #expect(try await server.send("POST", "/v1/vms", token: nil).status == 401)
        }
    }

    @Test func `the recovery says what differs, and accepting it once lets the server act`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            let host = try await server.addHost("h1", connection: .connected)
            let calm = try await server.send("GET", "/v1/recovery")
            #expect(calm.status == 200 && calm.json["state"] == "acting" && calm.json["since"] == .null)
            let early = try await server.send("POST", "/v1/recovery/actions/accept")
            #expect(early.status == 409 && early.json["code"] == "invalid-state")
            let body = #"{"name":"a","image":"i","cpus":1,"memory":64}"#
            let vm = try await server.send("POST", "/v1/vms", body: body).json
            let id = VMID(trusted: try #require(vm["id"]?.text))
            try await server.database.write("begin") { tx in
                try tx.beginRecovery("A copy.", isCopy: true)
                try tx.put(Sighting(vm: id, host: host.id, epoch: Epoch(4), state: "running", seenAt: tx.now))
            }
            let shown = try await server.send("GET", "/v1/recovery").json
            #expect(shown["state"] == "observing" && shown["reason"] == "A copy.")
            #expect(shown["hosts"]?.elements.first?["name"] == "h1")
            let differing = try #require(shown["vms"]?.elements.first)
            #expect(differing["name"] == "a" && differing["fate"] == "adopted")
            #expect(differing["why"] == "h1 shows it running with epoch 4: it is taken up there.")
            let accepted = try await server.send("POST", "/v1/recovery/actions/accept")
            #expect(accepted.status == 200 && accepted.json["state"] == "acting", "\(accepted.text)")
            #expect(try await server.send("GET", "/v1/vms/a").json["epoch"] == 1_000_001)
            #expect(try await server.send("POST", "/v1/recovery/actions/accept").status == 409)
            #expect(try await server.send("POST", "/v1/hosts", body: #"{"name":"h2"}"#).status == 201)
        }
    }
}
