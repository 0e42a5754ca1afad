import ControlPlane
import Domain
import Testing

@testable import APIServer

/// What can be asked of a VM after its end, over a real port.
@Suite struct DestroyedVMTests {
    private static let newVM = #"{"name":"a","image":"i","cpus":1,"memory":64}"#

    /// Makes VM `a` and returns its id.
    private static func make(_ server: TestServer) async throws -> String {
        let made = try await server.send("POST", "/v1/vms", body: newVM)
        return try #require(made.json["id"]?.text, "\(made.text)")
    }

    @Test func `a destroyed VM says how long it is kept, and comes back`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            let id = try await Self.make(server)
            let alive = try await server.send("GET", "/v1/vms/a")
            #expect(alive.json["expungeAt"] == .null)
            let deleted = try await server.send("DELETE", "/v1/vms/a", headers: [("Idempotency-Key", "k")])
            #expect(deleted.status == 202 && deleted.json["kind"] == "destroy", "\(deleted.text)")
            #expect(deleted.json["state"] == "succeeded" && deleted.json["outcome"] == "destroyed")
            let again = try await server.send("DELETE", "/v1/vms/a", headers: [("Idempotency-Key", "k")])
            #expect(again.json["id"] == deleted.json["id"])

            for reference in ["a", id] {
                let shown = try await server.send("GET", "/v1/vms/\(reference)")
                #expect(shown.status == 200 && shown.json["state"] == "destroyed")
                #expect(shown.json["expungeAt"]?.text?.hasSuffix("Z") == true)
            }
            let listed = try await server.send("GET", "/v1/vms?state=destroyed").json
            #expect(listed["items"]?.elements.count == 1)
            #expect(try await server.send("DELETE", "/v1/vms/a").code == "not-found")
            #expect(try await server.send("DELETE", "/v1/vms/\(id)").code == "invalid-state")

            let recovered = try await server.send("POST", "/v1/vms/a/actions/recover")
            #expect(recovered.status == 202 && recovered.json["kind"] == "recover", "\(recovered.text)")
            #expect(recovered.json["outcome"] == "recovered" && recovered.header("location") != nil)
            let back = try await server.send("GET", "/v1/vms/a").json
            #expect(back["state"] == "stopped" && back["id"]?.text == id && back["expungeAt"] == .null)
            let twice = try await server.send("POST", "/v1/vms/a/actions/recover")
            #expect(twice.status == 409 && twice.code == "invalid-state" && twice.json["hint"] != nil)
        }
    }

    @Test func `an expunged VM is a 404, whatever is asked of it`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            let id = try await Self.make(server)
            let early = try await server.send("POST", "/v1/vms/a/actions/expunge")
            #expect(early.status == 409 && early.code == "invalid-state")
            #expect(early.json["hint"]?.text?.contains("--expunge") == true)
            _ = try await server.send("DELETE", "/v1/vms/a")
            #expect(try await server.send("DELETE", "/v1/images/i").code == "image-in-use")
            let stale = try await server.send("POST", "/v1/vms/a/actions/expunge", headers: [("If-Match", "\"1\"")])
            #expect(stale.status == 412)
            let expunged = try await server.send("POST", "/v1/vms/a/actions/expunge")
            #expect(expunged.status == 202 && expunged.json["outcome"] == "expunged", "\(expunged.text)")
            for (method, path) in [
                ("GET", ""), ("POST", "/actions/recover"), ("POST", "/actions/expunge"), ("POST", "/actions/start"),
                ("DELETE", ""),
            ] {
                for reference in ["a", id] {
                    let answer = try await server.send(method, "/v1/vms/\(reference)\(path)")
                    #expect(answer.status == 404 && answer.code == "not-found", "\(method) \(path)")
                }
            }
            #expect(try await server.send("DELETE", "/v1/images/i").status == 204)
        }
    }

    @Test func `both at once, and of one that is destroyed already`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await Self.make(server)
            let gone = try await server.send("DELETE", "/v1/vms/a?expunge=true")
            #expect(gone.status == 202 && gone.json["outcome"] == "expunged", "\(gone.text)")
            _ = try await Self.make(server)
            _ = try await server.send("DELETE", "/v1/vms/a")
            let after = try await server.send("DELETE", "/v1/vms/a?expunge=true")
            #expect(after.status == 202 && after.json["outcome"] == "expunged", "\(after.text)")
            #expect(try await server.send("GET", "/v1/vms").json["items"] == .array([]))
        }
    }

    @Test func `while its host is away an expunge waits, and says for whom`() async throws {
        try await TestServer.run { server in
            let image = try await server.addImage("i")
            let host = try await server.addHost("h1")
            let id = VMID(trusted: "11111111-0000-4000-8000-000000000001")
            try await server.database.write("test.vm") { tx in
                try tx.insert(
                    VM(
                        id: id, name: "a", image: image.id, cpus: 1, memory: 64, state: .destroyed, epoch: Epoch(2),
                        lastPlacement: Placement(host: host.id, epoch: Epoch(2)),
                        expungeAt: tx.now.adding(.seconds(60)), createdAt: tx.now,
                        updatedAt: tx.now))
            }
            let accepted = try await server.send("POST", "/v1/vms/a/actions/expunge?wait=1")
            #expect(accepted.status == 202 && accepted.json["outcome"] == "deferred", "\(accepted.text)")
            let shown = try await server.send("GET", "/v1/vms/a").json
            #expect(shown["state"] == "expunging" && shown["expungeAt"] == .null)
            #expect(shown["waitingFor"]?["host"]?.text == host.id.rawValue)
            #expect(shown["waitingFor"]?["reason"] == "host-disconnected")
            let refused = try await server.send("POST", "/v1/vms/a/actions/recover")
            #expect(refused.status == 409 && refused.code == "invalid-state")
            let jobs = try await server.send("GET", "/v1/gc-jobs?vm=a&kind=delete-volume").json
            let job = try #require(jobs["items"]?.elements.first)
            #expect(job["host"]?.text == host.id.rawValue && job["epoch"] == 2 && job["state"] == "waiting")
            let metrics = try await server.send("GET", "/metrics", token: nil).body
            #expect(metrics.contains(#"roost_vms{state="expunging"} 1"#))
        }
    }

    @Test func `a name that is taken, or means several, is a conflict that says what to do`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            let first = try await Self.make(server)
            _ = try await server.send("DELETE", "/v1/vms/a")
            let second = try await Self.make(server)
            let taken = try await server.send("POST", "/v1/vms/\(first)/actions/recover")
            #expect(taken.status == 409 && taken.code == "name-taken" && taken.json["field"] == "name")
            #expect(taken.json["hint"]?.text?.contains("--name") == true)
            _ = try await server.send("DELETE", "/v1/vms/a")
            for (method, path) in [
                ("GET", ""), ("POST", "/actions/recover"), ("POST", "/actions/expunge"), ("DELETE", "?expunge=true"),
            ] {
                let answer = try await server.send(method, "/v1/vms/a\(path)")
                #expect(answer.status == 409 && answer.code == "name-ambiguous", "\(method) \(path): \(answer.text)")
                let hint = answer.json["hint"]?.text ?? ""
                #expect(hint.contains(first) && hint.contains(second))
            }
            let renamed = try await server.send("POST", "/v1/vms/\(first)/actions/recover", body: #"{"name":"b"}"#)
            #expect(renamed.status == 202, "\(renamed.text)")
            #expect(try await server.send("GET", "/v1/vms/b").json["id"]?.text == first)
        }
    }

    @Test func `wrong bodies and parameters are a 400 that names the field, and nothing happens`() async throws {
        try await TestServer.run { server in
            _ = try await server.addImage("i")
            _ = try await Self.make(server)
            let maybe = try await server.send("DELETE", "/v1/vms/a?expunge=maybe")
            #expect(maybe.status == 400 && maybe.json["field"] == "expunge")
            #expect(try await server.send("GET", "/v1/vms/a").json["state"] == "created")
            _ = try await server.send("DELETE", "/v1/vms/a")
            for (action, body, field) in [
                ("recover", #"{"name":7}"#, "name"), ("recover", #"{"name":""}"#, "name"),
                ("recover", #"{"name":"No Name"}"#, "name"), ("recover", #"{"nmae":"b"}"#, "nmae"),
                ("expunge", #"{"now":true}"#, "now"),
            ] {
                let answer = try await server.send("POST", "/v1/vms/a/actions/\(action)", body: body)
                #expect(answer.status == 400 && answer.json["field"]?.text == field, "\(body): \(answer.text)")
            }
            #expect(try await server.send("GET", "/v1/vms/a").json["state"] == "destroyed")
        }
    }
}
