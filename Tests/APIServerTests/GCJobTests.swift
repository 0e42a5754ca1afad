import ControlPlane
import Domain
import Testing

@testable import APIServer

/// GC jobs and operations that need attention, as the API shows them.
@Suite struct GCJobTests {
    private static let now = Timestamp(milliseconds: 1_700_000_000_000)

    private func job(
        _ kind: String, of vm: VMID, on host: HostID, _ state: JobState, unreadable: String? = nil
    ) -> Job {
        var job = Job(
            id: JobID(trusted: "eeeeeeee-0000-4000-8000-000000000001"), kind: JobKind(stored: kind), vm: vm, host: host,
            epoch: Epoch(1), payload: JobPayload(mode: .cold), state: state, wish: 1, nextAttemptAt: Self.now,
            requestedBy: "admin", createdAt: Self.now, updatedAt: Self.now,
            unreadable: unreadable.map { UnreadableWork(kind: kind, payload: $0, reason: "") })
        job.note("It broke off.", at: Self.now)
        job.note("It broke off again.", at: Self.now.adding(.seconds(1)))
        return job
    }

    /// A VM that has a job.
    private func add(
        _ server: TestServer, _ kind: String, _ state: JobState, unreadable: String? = nil
    ) async throws -> Job {
        _ = try await server.addImage("i")
        let host = try await server.addHost("h1")
        let made = try await server.send("POST", "/v1/vms", body: #"{"name":"a","image":"i","cpus":1,"memory":64}"#)
        let vm = try #require(made.json["id"]?.text.flatMap { VMID($0) })
        let job = job(kind, of: vm, on: host.id, state, unreadable: unreadable)
        try await server.database.write("test.job") { _ = try $0.enqueue(job) }
        return job
    }

    @Test func `a parked GC job is listed, explained, named by its VM and counted`() async throws {
        try await TestServer.run { server in
            let job = try await add(server, "stop-vm", .parked)
            let list = try await server.send("GET", "/v1/gc-jobs?state=needs-attention&vm=a&host=h1&kind=stop-vm").json
            let shown = try #require(list["items"]?.elements.first)
            #expect(shown["id"]?.text == job.id.rawValue && shown["state"] == "needs-attention")
            #expect(shown["nextAttemptAt"] == .null)
            #expect(shown["firstError"] == "It broke off." && shown["firstErrorAt"] == "2023-11-14T22:13:20.000Z")
            #expect(shown["lastError"] == "It broke off again.")
            #expect(shown["lastErrorAt"] == "2023-11-14T22:13:21.000Z")
            #expect(try await server.send("GET", "/v1/gc-jobs?state=waiting").json["items"] == .array([]))
            let explained = try await server.send("GET", "/v1/gc-jobs/\(job.id)/explain").json
            #expect(explained["wokenBy"]?.elements.count == 1)
            let vm = try await server.send("GET", "/v1/vms/a").json
            let parked = try #require(vm["needsAttention"]?.elements.first)
            #expect(parked["job"]?.text == job.id.rawValue && parked["kind"] == "stop-vm")
            #expect(parked["error"] == "It broke off again.")
            #expect(parked["hint"]?.text?.contains("roost gc run \(job.id)") == true)
            let metrics = try await server.send("GET", "/metrics", token: nil).body
            #expect(metrics.contains(#"roost_gc_jobs{state="needs-attention"} 1"#))
        }
    }

    @Test func `what a newer release wrote is shown with its own kind`() async throws {
        try await TestServer.run { server in
            let job = try await add(server, "sing", .waiting, unreadable: "{}")
            let shown = try await server.send("GET", "/v1/gc-jobs/\(job.id)")
            #expect(shown.status == 200 && shown.json["kind"] == "sing")
            let list = try await server.send("GET", "/v1/gc-jobs").json
            #expect(list["items"]?.elements.map { $0["kind"] } == ["sing"])
            #expect(try await server.send("GET", "/v1/operations").json["items"] == .array([]))
        }
    }

    @Test func `an operation of a newer release is shown with its own kind, and ended by a hand`() async throws {
        try await TestServer.run { server in
            let job = try await add(server, "operation.sing", .parked, unreadable: "{}")
            let list = try await server.send("GET", "/v1/operations?state=needs-attention").json
            let shown = try #require(list["items"]?.elements.first)
            #expect(shown["kind"] == "sing" && shown["state"] == "needs-attention")
            #expect(shown["lastError"] == "It broke off again.")
            let ended = try await server.send("POST", "/v1/operations/\(job.id)/actions/cancel")
            #expect(ended.status == 200 && ended.json["state"] == "cancelled", "\(ended.text)")
        }
    }

    @Test func `a dry run answers with what would happen, and changes nothing`() async throws {
        try await TestServer.run { server in
            let job = try await add(server, "stop-vm", .parked)
            let before = try await server.send("GET", "/v1/gc-jobs/\(job.id)")
            #expect(before.json["wouldHappen"] == nil)
            for (method, path, state) in [
                ("POST", "/v1/gc-jobs/\(job.id)/actions/trigger", "waiting"),
                ("DELETE", "/v1/gc-jobs/\(job.id)", "cancelled"),
            ] {
                let would = try await server.send(method, "\(path)?dryRun=true")
                #expect(would.status == 200 && would.json["state"]?.text == state, "\(would.text)")
                #expect(would.json["wouldHappen"]?.elements.isEmpty == false)
                #expect(would.header("etag") == nil)
                #expect(try await server.send("GET", "/v1/gc-jobs/\(job.id)").body == before.body)
                #expect(try await server.send(method, "\(path)?dryRun=perhaps").status == 400)
            }
            let done = try await server.send("DELETE", "/v1/gc-jobs/\(job.id)?dryRun=false")
            #expect(done.json["state"] == "cancelled" && done.json["wouldHappen"] == nil)
        }
    }
}
